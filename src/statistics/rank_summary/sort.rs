//! Sorting a long column of doubles: a radix sort that stops when no one waits any more.

use crate::context::Context;
use crate::error::Result;

/// The bits of a digit, and the numbers that it can be.
const DIGIT_BITS: u32 = 11;
const DIGITS: usize = 1 << DIGIT_BITS;

/// The digits of a number.
const PASSES: usize = u64::BITS.div_ceil(DIGIT_BITS) as usize;

/// How many numbers are moved between two looks at the context.
const BLOCK: usize = 1 << 20;

/// Up to so many numbers are sorted in place without looking at the context: in some 20 ms, and without a second buffer.
const SHORT: usize = 1 << 18;

/// A number whose order as an integer is that of the double, with -0 as 0.
pub(super) fn key(x: f64) -> u64 {
    let bits = (x + 0.0).to_bits();
    if bits >> 63 == 0 {
        bits ^ (1 << 63)
    } else {
        !bits
    }
}

fn value(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 {
        key ^ (1 << 63)
    } else {
        !key
    })
}

/// The doubles of the keys, ascending.
///
/// # Errors
/// What `context` has to say.
pub(super) fn sorted(mut keys: Vec<u64>, context: &Context) -> Result<Vec<f64>> {
    context.check()?;
    if keys.len() <= SHORT {
        keys.sort_unstable();
    } else {
        keys = radix_sorted(keys, context)?;
    }
    Ok(keys.into_iter().map(value).collect())
}

fn radix_sorted(mut keys: Vec<u64>, context: &Context) -> Result<Vec<u64>> {
    let digit = |key: u64, pass: usize| (key >> (pass as u32 * DIGIT_BITS)) as usize % DIGITS;
    let mut counts = vec![[0; DIGITS]; PASSES];
    for block in keys.chunks(BLOCK) {
        context.check()?;
        for &key in block {
            for (pass, counts) in counts.iter_mut().enumerate() {
                counts[digit(key, pass)] += 1;
            }
        }
    }
    let mut moved = vec![0; keys.len()];
    for (pass, places) in counts.iter_mut().enumerate() {
        if places.contains(&keys.len()) {
            // they all have the same digit
            continue;
        }
        let mut next = 0;
        for place in places.iter_mut() {
            next += std::mem::replace(place, next);
        }
        for block in keys.chunks(BLOCK) {
            context.check()?;
            for &key in block {
                let place = &mut places[digit(key, pass)];
                moved[*place] = key;
                *place += 1;
            }
        }
        std::mem::swap(&mut keys, &mut moved);
    }
    Ok(keys)
}
