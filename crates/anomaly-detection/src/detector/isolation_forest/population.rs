//! The population that trees draw from: the new rows, and a uniform sample that represents the rows seen before.

use ndarray::{ArrayView1, ArrayView2};
use rand::RngExt;

use super::params::{IsolationForestValidParams, MaxSamples};
use crate::detector::PastRows;
use crate::detector::random::TreeRng;
use crate::detector::source::Rows;
use crate::error::{Error, Result, reason};

/// The default of `max_samples`.
const AUTO_SAMPLES: usize = 256;

/// The rows to draw from and the subsample size.
pub(super) struct Population<'a> {
    past: Rows<'a>,
    new: Rows<'a>,
    seen: u64,
    n_subsample: usize,
}

impl<'a> Population<'a> {
    /// Joins the parts. Fails if they differ in width or if there are fewer than two rows.
    pub(super) fn new(
        past: Option<&'a PastRows<'_>>,
        new: Rows<'a>,
        params: &IsolationForestValidParams,
    ) -> Result<Self> {
        let (past, seen) = match past {
            Some(PastRows { rows, seen, .. }) if rows.nrows() > 0 => {
                (rows.view(), (*seen).max(rows.nrows() as u64))
            }
            _ => (no_rows(new.ncols())?, 0),
        };
        let past = Rows::All(past);
        if past.ncols() != new.ncols() {
            return Err(Error::new(
                reason::SCHEMA_MISMATCH,
                format!(
                    "the new rows have {} features, the rows seen before have {}",
                    new.ncols(),
                    past.ncols()
                ),
            ));
        }
        let n_rows = seen.saturating_add(new.nrows() as u64);
        let held = past.nrows() + new.nrows();
        if held < 2 || new.ncols() == 0 {
            return Err(Error::new(
                reason::UNUSABLE_ROWS,
                format!(
                    "an isolation forest needs at least 2 rows and 1 feature, got {held} rows of {} features",
                    new.ncols()
                ),
            ));
        }
        let wanted = match params.max_samples() {
            MaxSamples::Auto => AUTO_SAMPLES as u64,
            MaxSamples::Count(count) => count as u64,
            MaxSamples::Fraction(fraction) => (fraction * n_rows as f64) as u64,
        };
        let n_subsample = wanted
            .min(n_rows)
            .min(represented(past.nrows(), seen, n_rows))
            .min(u64::from(u32::MAX / 4))
            .max(2);
        Ok(Self {
            past,
            new,
            seen,
            n_subsample: n_subsample as usize,
        })
    }

    pub(super) fn n_features(&self) -> usize {
        self.new.ncols()
    }

    /// How many rows were seen before these.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// How many rows each tree takes.
    pub(super) fn n_subsample(&self) -> usize {
        self.n_subsample
    }

    pub(super) fn parts(&self) -> [Rows<'a>; 2] {
        [self.past, self.new]
    }

    /// A row by its position: past rows come first.
    pub(super) fn row(&self, position: usize) -> ArrayView1<'a, f64> {
        match position.checked_sub(self.past.nrows()) {
            None => self.past.row(position),
            Some(position) => self.new.row(position),
        }
    }

    /// Draws [`n_subsample`](Self::n_subsample) distinct positions, split between the parts as a uniform draw without
    /// replacement from all rows ever seen would be.
    pub(super) fn draw(&self, rng: &mut TreeRng, marks: &mut Marks, out: &mut Vec<usize>) {
        out.clear();
        let n_past = self.n_from_history(rng);
        let held = self.past.nrows();
        marks.resize(held.max(self.new.nrows()));
        draw_distinct(0, held, n_past, rng, marks, out);
        let n_new = self.n_subsample - n_past;
        draw_distinct(held, self.new.nrows(), n_new, rng, marks, out);
    }

    /// A hypergeometric number by sequential draws, clamped to the number of rows of each part.
    fn n_from_history(&self, rng: &mut TreeRng) -> usize {
        if self.seen == 0 {
            return 0;
        }
        let (mut old, mut new) = (self.seen, self.new.nrows() as u64);
        for _ in 0..self.n_subsample {
            if rng.random_range(0..old.saturating_add(new)) < old {
                old -= 1;
            } else {
                new -= 1;
            }
        }
        let n_past = (self.seen - old) as usize;
        let fewest = self.n_subsample.saturating_sub(self.new.nrows());
        n_past.min(self.past.nrows()).max(fewest)
    }
}

/// How many rows a subsample may have before the share of past rows in it exceeds the rows that stand for them.
fn represented(held: usize, seen: u64, n_rows: u64) -> u64 {
    if seen == 0 {
        return n_rows;
    }
    (held as u128 * u128::from(n_rows) / u128::from(seen)).min(u128::from(u64::MAX)) as u64
}

fn no_rows<'a>(n_features: usize) -> Result<ArrayView2<'a, f64>> {
    ArrayView2::from_shape((0, n_features), &[])
        .map_err(|error| Error::new(reason::INTERNAL, "no rows have a shape").because(error))
}

/// A set of positions; empty between draws.
#[derive(Debug, Default)]
pub(super) struct Marks(Vec<u64>);

impl Marks {
    pub(super) fn resize(&mut self, n: usize) {
        self.0.resize(n.div_ceil(64), 0);
    }

    /// Adds a position; false if it was already present.
    pub(super) fn insert(&mut self, position: usize) -> bool {
        let (word, bit) = (&mut self.0[position / 64], 1 << (position % 64));
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    pub(super) fn contains(&self, position: usize) -> bool {
        self.0[position / 64] & (1 << (position % 64)) != 0
    }

    fn remove(&mut self, position: usize) {
        self.0[position / 64] &= !(1 << (position % 64));
    }
}

/// Appends `n` distinct positions of `start..start + length`, by rejection; draws the positions to leave out if they are fewer.
fn draw_distinct(
    start: usize,
    length: usize,
    n: usize,
    rng: &mut TreeRng,
    marks: &mut Marks,
    out: &mut Vec<usize>,
) {
    let first = out.len();
    let n_drawn = n.min(length - n);
    while out.len() < first + n_drawn {
        let position = rng.random_range(0..length);
        if marks.insert(position) {
            out.push(start + position);
        }
    }
    if n_drawn < n {
        out.extend(
            (0..length)
                .filter(|&position| !marks.contains(position))
                .map(|position| start + position),
        );
    }
    for &position in &out[first..first + n_drawn] {
        marks.remove(position - start);
    }
    if n_drawn < n {
        out.drain(first..first + n_drawn);
    }
}
