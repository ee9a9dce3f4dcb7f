//! Searching a sorted array for several numbers at once.

use std::hint::select_unpredictable;

/// How many of the leading elements of `sorted` satisfy each lane's condition, which holds for no element after one for
/// which it does not. The lanes go in step and without branches, so that their loads overlap.
pub fn count_leading<const N: usize>(
    sorted: &[f64],
    holds: impl Fn(usize, f64) -> bool,
) -> [usize; N] {
    let mut counts = [0; N];
    if sorted.is_empty() {
        return counts;
    }
    let mut length = sorted.len();
    while length > 1 {
        let half = length / 2;
        let probes = &sorted[half - 1..];
        for (lane, count) in counts.iter_mut().enumerate() {
            let is_beyond = holds(lane, probes[*count]);
            *count = select_unpredictable(is_beyond, *count + half, *count);
        }
        length -= half;
    }
    for (lane, count) in counts.iter_mut().enumerate() {
        *count += usize::from(holds(lane, sorted[*count]));
    }
    counts
}
