//! Binary search of a sorted array for several numbers at once.

use std::hint::select_unpredictable;

/// For each lane, the number of leading elements of `sorted` for which its condition holds; the condition must be monotone, as
/// for `partition_point`. The lanes advance in lockstep and without branches, so that their loads overlap.
pub(crate) fn count_leading<const N: usize>(
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
