//! The rows of each tree, drawn with replacement, and the scores of the rows that were not drawn.

use std::sync::atomic::{AtomicU64, Ordering};

use rand::RngExt;

use crate::context::Context;
use crate::detector::random::TreeRng;
use crate::error::Result;

/// How the rows of a bag are drawn: as many as there are, with replacement, with the past rows weighted by class.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draw<'a> {
    /// Whether each past row is an anomaly.
    past: &'a [bool],
    n_rows: u32,
    /// The share of the past rows.
    share: f64,
    /// The probability of keeping a past row of each class when it is drawn; 1 for the heavier class.
    kept: [f64; 2],
}

impl<'a> Draw<'a> {
    /// A draw from past rows with these labels and weights by class, and from `n_sample` new rows; at most 2^30 rows in all. The
    /// weights are finite and at least 1.
    pub(super) fn new(past: &'a [bool], weights: [f64; 2], n_sample: usize) -> Self {
        let total: f64 = past.iter().map(|&label| weights[usize::from(label)]).sum();
        // the weight of a class without rows must not make the other rarer
        let has = [false, true].map(|class| past.contains(&class));
        let heavier = match has {
            [true, false] => weights[0],
            [false, true] => weights[1],
            _ => weights[0].max(weights[1]),
        };
        Self {
            past,
            n_rows: (past.len() + n_sample) as u32,
            share: total / (total + n_sample as f64),
            kept: weights.map(|weight| (weight / heavier).min(1.0)),
        }
    }

    /// Adds to each row how often it is drawn.
    pub(super) fn draw(
        &self,
        rng: &mut TreeRng,
        counts: &mut [u32],
        context: &Context,
    ) -> Result<()> {
        const BATCH: u32 = 1 << 20;
        let n_past = self.past.len() as u32;
        for start in (0..self.n_rows).step_by(BATCH as usize) {
            context.check()?;
            for _ in start..start.saturating_add(BATCH).min(self.n_rows) {
                let row = if n_past == 0 {
                    rng.random_range(0..self.n_rows)
                } else if n_past == self.n_rows || rng.random::<f64>() < self.share {
                    self.draw_history(rng)
                } else {
                    rng.random_range(n_past..self.n_rows)
                };
                counts[row as usize] += 1;
            }
        }
        Ok(())
    }

    fn draw_history(&self, rng: &mut TreeRng) -> u32 {
        loop {
            let row = rng.random_range(0..self.past.len() as u32);
            let kept = self.kept[usize::from(self.past[row as usize])];
            if kept >= 1.0 || rng.random::<f64>() < kept {
                return row;
            }
        }
    }
}

/// The sum and the number of the out-of-bag scores of each row. Sums are in fixed point, so that the order in which threads add
/// to them does not matter.
#[derive(Debug)]
pub(super) struct OutOfBag(Vec<AtomicU64>);

/// How many of the lower bits hold the sum; the bits above hold the number.
const SUM_BITS: u32 = 50;

/// The unit of the sum, so that 10,000 scores of at most 1 fit.
const ONE: f64 = (1_u64 << 36) as f64;

impl OutOfBag {
    pub(super) fn new(n_rows: usize) -> Self {
        Self((0..n_rows).map(|_| AtomicU64::new(0)).collect())
    }

    /// Adds a tree's score of rows outside its bag.
    pub(super) fn add(&self, rows: &[u32], score: f32) {
        let added = (1 << SUM_BITS) + (f64::from(score) * ONE) as u64;
        for &row in rows {
            self.0[row as usize].fetch_add(added, Ordering::Relaxed);
        }
    }

    /// For each row the sum and the number of its scores.
    pub(super) fn sums(self) -> impl Iterator<Item = (f64, u64)> {
        self.0.into_iter().map(|cell| {
            let cell = cell.into_inner();
            let sum = cell & ((1 << SUM_BITS) - 1);
            (sum as f64 / ONE, cell >> SUM_BITS)
        })
    }
}
