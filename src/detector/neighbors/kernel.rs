//! The arithmetic of a search: exact distances in doubles, and a filter in floats that never loses a point.

/// The points of a strip: sums enough to keep the arithmetic units busy, and a bit of a `u64` for each.
pub(super) const STRIP: usize = 64;

/// What a search is compiled for.
pub(super) trait Kernel: Copy {
    /// `h - q . p` for each point p of a strip. `lanes` holds the first coordinate of all points, then the second, and so on;
    /// `halves` holds each h.
    fn sums(self, lanes: &[f32], halves: &[f32; STRIP], query: &[f32]) -> [f32; STRIP];

    /// A bit for each of the same sums, set where it is not greater than the threshold.
    fn filter(self, lanes: &[f32], halves: &[f32; STRIP], query: &[f32], threshold: f32) -> u64;
}

/// For any processor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portable;

impl Kernel for Portable {
    #[inline(always)]
    fn sums(self, lanes: &[f32], halves: &[f32; STRIP], query: &[f32]) -> [f32; STRIP] {
        let mut sums = *halves;
        for (lanes, q) in lanes.as_chunks::<STRIP>().0.iter().zip(query) {
            for (sum, p) in sums.iter_mut().zip(lanes) {
                *sum -= p * q;
            }
        }
        sums
    }

    #[inline(always)]
    fn filter(self, lanes: &[f32], halves: &[f32; STRIP], query: &[f32], threshold: f32) -> u64 {
        let sums = self.sums(lanes, halves, query);
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
