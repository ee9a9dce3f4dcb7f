//! The arithmetic of a search: exact distances in doubles, and a filter in floats that loses no point.

use crate::detector::simd::Portable;

/// The most points of a strip: enough sums to keep the arithmetic units busy, and one bit of a `u64` each.
pub(super) const STRIP: usize = 64;

/// Four times the unit roundoff of floats: for the rounding of a query and a point, and as much again.
pub(super) const ROUNDOFF: f64 = 4.0 / 16_777_216.0;

/// For each feature, more than underflow in squares and products of floats can lose.
pub(super) const UNDERFLOW: f64 = 1e-36;

/// How many boxes are compared with a query at once.
pub(super) const LANES: usize = 8;

/// The lower ends of eight boxes in one feature, and the upper ones.
pub(super) type Boxes = [[f32; LANES]; 2];

/// The vector operations of a search.
pub(super) trait Kernel: Copy {
    /// `h - q . p` for each point p of a strip. `lanes` holds the first coordinate of all points, then the second, and so on;
    /// `halves` holds the h of each point.
    fn sums(self, lanes: &[f32], halves: &[f32; STRIP], query: &[f32]) -> [f32; STRIP];

    /// A bit for each of the same sums, which is set if it is not greater than the threshold.
    fn filter(self, lanes: &[f32], halves: &[f32; STRIP], query: &[f32], threshold: f32) -> u64;

    /// A bit for each point of a strip, which is set if its squared distance is not greater than the limit. `lanes` holds the
    /// first coordinate of all points, then the second, and so on.
    fn within(self, lanes: &[[f32; STRIP]], query: &[f32], limit: f32) -> u64;

    /// The squared distances of eight boxes, which are given for each feature.
    fn bounds(self, boxes: &[Boxes], query: &[f32]) -> [f32; LANES];

    /// A bit for each of eight numbers, which is set if it is not greater than the limit.
    fn mask(self, numbers: &[f32; LANES], limit: f32) -> u32;
}

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

    #[inline(always)]
    fn within(self, lanes: &[[f32; STRIP]], query: &[f32], limit: f32) -> u64 {
        let mut sums = [0.0; STRIP];
        for (lanes, q) in lanes.iter().zip(query) {
            for (sum, p) in sums.iter_mut().zip(lanes) {
                *sum += (q - p) * (q - p);
            }
        }
        let bits = sums.iter().enumerate();
        bits.fold(0, |mask, (lane, &sum)| {
            mask | u64::from(sum <= limit) << lane
        })
    }

    #[inline(always)]
    fn bounds(self, boxes: &[Boxes], query: &[f32]) -> [f32; LANES] {
        let mut sums = [0.0; LANES];
        for ([lows, highs], &q) in boxes.iter().zip(query) {
            for (i, sum) in sums.iter_mut().enumerate() {
                let nearest = if q > lows[i] { q } else { lows[i] };
                let nearest = if nearest < highs[i] {
                    nearest
                } else {
                    highs[i]
                };
                *sum += (q - nearest) * (q - nearest);
            }
        }
        sums
    }

    #[inline(always)]
    fn mask(self, numbers: &[f32; LANES], limit: f32) -> u32 {
        let bits = numbers.iter().enumerate();
        bits.fold(0, |mask, (i, &x)| mask | u32::from(x <= limit) << i)
    }
}

/// The squared distance of two points, in four sums, so that it can be vectorised without reordering and has the same bits on
/// every processor.
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
    // adding zeros changes no bit and keeps the sums in a register
    let square = |i: usize| (rest_a[i] - rest_b[i]) * (rest_a[i] - rest_b[i]);
    let rest = match rest_a.len().min(rest_b.len()) {
        0 => [0.0; 4],
        1 => [square(0), 0.0, 0.0, 0.0],
        2 => [square(0), square(1), 0.0, 0.0],
        _ => [square(0), square(1), square(2), 0.0],
    };
    for (sum, rest) in sums.iter_mut().zip(rest) {
        *sum += rest;
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3])
}

/// `x` within `most` of 0, in two comparisons.
#[inline(always)]
pub(super) fn clamped(x: f64, most: f64) -> f64 {
    let x = if x < most { x } else { most };
    if x > -most { x } else { -most }
}
