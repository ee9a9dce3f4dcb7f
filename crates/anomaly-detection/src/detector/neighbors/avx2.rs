//! The filter with AVX2 and FMA. Its rounding errors may differ from those of the portable filter, within the margin of both.

use super::kernel::{Boxes, Kernel, LANES, STRIP};
use crate::detector::simd::{Avx2, F32x8, Simd};

/// How many vectors hold one number for each point of a strip.
const VECTORS: usize = STRIP / LANES;

/// A register of eight singles.
type Vector = <Avx2 as Simd>::F32x8;

impl Kernel for Avx2 {
    #[inline(always)]
    fn sums(self, lanes: &[f32], halves: &[f32; STRIP], query: &[f32]) -> [f32; STRIP] {
        let mut sums = [0.0; STRIP];
        let vectors = vectors(self, lanes, halves, query);
        for (eight, vector) in sums.as_chunks_mut().0.iter_mut().zip(vectors) {
            self.store(vector, eight);
        }
        sums
    }

    #[inline(always)]
    fn filter(self, lanes: &[f32], halves: &[f32; STRIP], query: &[f32], threshold: f32) -> u64 {
        mask_of(self, vectors(self, lanes, halves, query), threshold)
    }

    #[inline(always)]
    fn within(self, lanes: &[[f32; STRIP]], query: &[f32], limit: f32) -> u64 {
        let mut sums = [self.splat(0.0); VECTORS];
        for (lanes, &q) in lanes.iter().zip(query) {
            let lanes: &[F32x8] = lanes.as_chunks().0;
            let q = self.splat(q);
            for i in 0..VECTORS {
                let difference = self.sub(q, self.load(&lanes[i]));
                sums[i] = self.mul_add(difference, difference, sums[i]);
            }
        }
        mask_of(self, sums, limit)
    }

    #[inline(always)]
    fn bounds(self, boxes: &[Boxes], query: &[f32]) -> [f32; LANES] {
        let mut sums = self.splat(0.0);
        for ([lows, highs], &q) in boxes.iter().zip(query) {
            let q = self.splat(q);
            let nearest = self.min(self.max(q, self.load(lows)), self.load(highs));
            let difference = self.sub(q, nearest);
            sums = self.mul_add(difference, difference, sums);
        }
        let mut out = [0.0; LANES];
        self.store(sums, &mut out);
        out
    }

    #[inline(always)]
    fn mask(self, numbers: &[f32; LANES], limit: f32) -> u32 {
        u32::from(self.le_mask(self.load(numbers), self.splat(limit)))
    }
}

#[inline(always)]
fn vectors(avx2: Avx2, lanes: &[f32], halves: &[f32; STRIP], query: &[f32]) -> [Vector; VECTORS] {
    let halves: &[F32x8] = halves.as_chunks().0;
    let mut sums = [avx2.splat(0.0); VECTORS];
    for i in 0..VECTORS {
        sums[i] = avx2.load(&halves[i]);
    }
    for (lanes, &q) in lanes.as_chunks::<STRIP>().0.iter().zip(query) {
        let lanes: &[F32x8] = lanes.as_chunks().0;
        let q = avx2.splat(q);
        // indexed instead of zipped, so that the sums stay in registers
        for i in 0..VECTORS {
            sums[i] = avx2.neg_mul_add(q, avx2.load(&lanes[i]), sums[i]);
        }
    }
    sums
}

/// A bit for each number, which is set if it is not greater than the limit.
#[inline(always)]
fn mask_of(avx2: Avx2, vectors: [Vector; VECTORS], limit: f32) -> u64 {
    let limit = avx2.splat(limit);
    let mut mask = 0;
    for (i, vector) in vectors.into_iter().enumerate() {
        mask |= u64::from(avx2.le_mask(vector, limit)) << (LANES * i);
    }
    mask
}
