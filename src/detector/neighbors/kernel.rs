//! The arithmetic of a search: exact distances in doubles, and a filter in floats that never loses a point.

/// Strips of points as long as this suit single queries, that end after few strips.
pub(super) const SHORT: usize = 32;

/// Strips of points as long as this keep the arithmetic units of one core busy.
pub(super) const LONG: usize = 64;

/// What a search is compiled for.
pub(super) trait Kernel: Copy {
    /// Compares `h - q . p` with the threshold for each of the `L` points p of a strip, at most 64, and sets a bit where it is
    /// not greater. `lanes` holds the first coordinate of all points, then the second, and so on; `halves` holds each h.
    fn strip<const L: usize>(
        self,
        lanes: &[f32],
        halves: &[f32],
        query: &[f32],
        threshold: f32,
    ) -> u64;
}

/// For any processor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portable;

impl Kernel for Portable {
    #[inline(always)]
    fn strip<const L: usize>(
        self,
        lanes: &[f32],
        halves: &[f32],
        query: &[f32],
        threshold: f32,
    ) -> u64 {
        let mut sums = [0.0; L];
        sums.copy_from_slice(&halves[..L]);
        for (lanes, q) in lanes.chunks_exact(L).zip(query) {
            for (sum, p) in sums.iter_mut().zip(lanes) {
                *sum -= p * q;
            }
        }
        let bits = sums.iter().enumerate();
        bits.fold(0, |mask, (lane, &sum)| {
            mask | u64::from(sum <= threshold) << lane
        })
    }
}

/// The squared distance of two points. Four sums, which no compiler need reorder to use vectors: the same bits everywhere.
#[inline(always)]
pub(super) fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (a, rest_a) = a.as_chunks::<4>();
    let (b, rest_b) = b.as_chunks::<4>();
    for (a, b) in a.iter().zip(b) {
        for lane in 0..4 {
            let difference = a[lane] - b[lane];
            sums[lane] += difference * difference;
        }
    }
    for ((sum, a), b) in sums.iter_mut().zip(rest_a).zip(rest_b) {
        *sum += (a - b) * (a - b);
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3])
}
