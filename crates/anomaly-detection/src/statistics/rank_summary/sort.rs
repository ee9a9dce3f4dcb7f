//! Sorts a column of doubles: a radix sort if it is long, which stops when its context is cancelled.

use crate::context::Context;
use crate::error::Result;

/// The bits of a radix digit, and the number of its values.
const DIGIT_BITS: u32 = 11;
const DIGITS: usize = 1 << DIGIT_BITS;

/// How many digits, from the highest, keys are sorted by. Keys that agree in all of them are sorted by themselves.
const PASSES: usize = 3;

/// How many keys are moved between two checks of the context.
const CHUNK: usize = 1 << 20;

/// Up to this many keys, a comparison sort is faster.
const SHORT: usize = 1 << 10;

/// An integer whose order is that of the double, with -0 as 0.
pub(super) fn key(x: f64) -> u64 {
    let bits = (x + 0.0).to_bits();
    if bits >> 63 == 0 {
        bits ^ (1 << 63)
    } else {
        !bits
    }
}

/// The double of a key.
pub(super) fn value(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 {
        key ^ (1 << 63)
    } else {
        !key
    })
}

/// Sorts keys; `room` is scratch space of at least the same length.
///
/// # Errors
/// Those of [`Context::check`].
pub(super) fn sort(keys: &mut [u64], room: &mut [u64], context: &Context) -> Result<()> {
    if keys.len() <= SHORT {
        keys.sort_unstable();
        return Ok(());
    }
    context.check()?;
    let (low, high) = keys.iter().fold((u64::MAX, 0), |(low, high), &key| {
        (low.min(key), high.max(key))
    });
    if low == high {
        return Ok(());
    }
    let bits = u64::BITS - (high - low).leading_zeros();
    let shift = bits.saturating_sub(PASSES as u32 * DIGIT_BITS);
    let coarse = |key: u64| (key - low) >> shift;
    move_by_digits(keys, room, coarse, context)?;
    if shift == 0 {
        return Ok(());
    }
    let mut start = 0;
    while start < keys.len() {
        let first = coarse(keys[start]);
        let rest = &keys[start + 1..];
        let length = 1 + rest.iter().take_while(|&&key| coarse(key) == first).count();
        if length > 1 {
            sort(
                &mut keys[start..start + length],
                &mut room[..length],
                context,
            )?;
        }
        start += length;
    }
    Ok(())
}

/// Sorts keys by the radix digits of `coarse(key)`.
fn move_by_digits(
    keys: &mut [u64],
    room: &mut [u64],
    coarse: impl Fn(u64) -> u64,
    context: &Context,
) -> Result<()> {
    let digit =
        |key: u64, pass: usize| (coarse(key) >> (pass as u32 * DIGIT_BITS)) as usize % DIGITS;
    let mut counts = [[0; DIGITS]; PASSES];
    for chunk in keys.chunks(CHUNK) {
        context.check()?;
        for &key in chunk {
            for (pass, counts) in counts.iter_mut().enumerate() {
                counts[digit(key, pass)] += 1;
            }
        }
    }
    let (mut from, mut to) = (keys, room);
    let mut is_moved = false;
    for (pass, places) in counts.iter_mut().enumerate() {
        if places.contains(&from.len()) {
            // all keys have the same digit
            continue;
        }
        let mut next = 0;
        for place in places.iter_mut() {
            next += std::mem::replace(place, next);
        }
        for chunk in from.chunks(CHUNK) {
            context.check()?;
            for &key in chunk {
                let place = &mut places[digit(key, pass)];
                to[*place] = key;
                *place += 1;
            }
        }
        std::mem::swap(&mut from, &mut to);
        is_moved = !is_moved;
    }
    if is_moved {
        to.copy_from_slice(from);
    }
    Ok(())
}
