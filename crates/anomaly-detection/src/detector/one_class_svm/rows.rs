//! The training rows, in an order that does not depend on the one in which they came.

use ndarray::{ArrayView2, CowArray, Ix2};
use rayon::prelude::*;

use crate::context::Context;
use crate::detector::row_order::lexicographic;
use crate::detector::{PastRows, Sample};
use crate::error::{Error, Result, reason};

/// The magnitude to which values are clamped, so that no sum of squares overflows.
pub(super) const MAX_VALUE: f64 = 1e140;

/// The most bytes of memory that a fit may take for its rows.
const MAX_BYTES: usize = 960 << 20;

/// How many values are processed between two checks of the context.
const VALUES_PER_CHECK: usize = 1 << 20;

/// The distinct rows in lexicographic order, each with the sum of the weights of its copies.
pub(super) struct DistinctRows<'a> {
    parts: [Option<CowArray<'a, f64, Ix2>>; 2],
    d: usize,
    /// The index of each distinct row among the rows of the first part and then of the second.
    places: Vec<u32>,
    weights: Vec<f64>,
}

impl<'a> DistinctRows<'a> {
    /// The distinct rows among weighted past rows and the rows of a sample, each of weight 1.
    ///
    /// # Errors
    /// [`reason::UNUSABLE_ROWS`] for fewer than two rows, no columns, or rows that take too much memory;
    /// [`reason::SCHEMA_MISMATCH`] for past rows of another width; and those of [`Context::check`].
    pub(super) fn new(
        past: Option<&'a PastRows<'_>>,
        sample: &'a Sample<'_>,
        context: &Context,
    ) -> Result<Self> {
        let d = sample.rows.ncols();
        let past = past.filter(|past| past.rows.nrows() > 0);
        if let Some(past) = past
            && past.rows.ncols() != d
        {
            let message = format!(
                "the rows have {d} columns, those seen before have {}",
                past.rows.ncols()
            );
            return Err(Error::new(reason::SCHEMA_MISMATCH, message));
        }
        let n_past = past.map_or(0, |past| past.rows.nrows());
        let n = n_past + sample.rows.nrows();
        check_size(n, d)?;
        let standard = |rows: ArrayView2<'a, f64>| -> CowArray<'a, f64, Ix2> {
            if rows.is_standard_layout() {
                CowArray::from(rows)
            } else {
                CowArray::from(rows.as_standard_layout().into_owned())
            }
        };
        let mut rows = Self {
            parts: [
                past.map(|past| standard(past.rows.view())),
                Some(standard(sample.rows.view())),
            ],
            d,
            places: (0..n as u32).collect(),
            weights: Vec::new(),
        };
        let weight = past.map_or(1.0, |past| past.weight());
        let weight_at = |place: u32| {
            if (place as usize) < n_past {
                weight
            } else {
                1.0
            }
        };
        let places = std::mem::take(&mut rows.places);
        let places = rows.sort(places, weight_at, context)?;
        rows.merge(&places, weight_at, context)?;
        Ok(rows)
    }

    /// The number of distinct rows.
    pub(super) fn n_rows(&self) -> usize {
        self.places.len()
    }

    /// The number of columns.
    pub(super) fn n_features(&self) -> usize {
        self.d
    }

    /// The weights of the rows.
    pub(super) fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The values of a distinct row, which are not clamped yet; see [`bounded`].
    pub(super) fn row(&self, i: usize) -> &[f64] {
        self.at(self.places[i])
    }

    /// Weighted sums over the rows, in an order that does not depend on the number of threads.
    pub(super) fn sum<const K: usize>(
        &self,
        context: &Context,
        term: impl Fn(&[f64]) -> [f64; K] + Sync,
    ) -> Result<[f64; K]> {
        let mut total = [0.0; K];
        for part in self.per_chunk(context, |rows| {
            let mut sums = [0.0; K];
            for i in rows {
                let terms = term(self.row(i));
                for (sum, term) in sums.iter_mut().zip(terms) {
                    *sum += self.weights[i] * term;
                }
            }
            sums
        })? {
            for (sum, part) in total.iter_mut().zip(part) {
                *sum += part;
            }
        }
        Ok(total)
    }

    /// The weighted mean of each column.
    pub(super) fn means(&self, context: &Context) -> Result<Vec<f64>> {
        let mut means = vec![0.0; self.d];
        for part in self.per_chunk(context, |rows| {
            let mut sums = vec![0.0; self.d];
            for i in rows {
                for (sum, x) in sums.iter_mut().zip(self.row(i)) {
                    *sum += self.weights[i] * bounded(*x);
                }
            }
            sums
        })? {
            for (sum, part) in means.iter_mut().zip(part) {
                *sum += part;
            }
        }
        let weight: f64 = self.weights.iter().sum();
        means.iter_mut().for_each(|mean| *mean /= weight);
        Ok(means)
    }

    /// The largest magnitude of a value.
    pub(super) fn largest(&self, context: &Context) -> Result<f64> {
        let largest = self.per_chunk(context, |rows| {
            let values = rows.flat_map(|i| self.row(i)).map(|&x| bounded(x).abs());
            values.fold(0.0, f64::max)
        })?;
        Ok(largest.into_iter().fold(0.0, f64::max))
    }

    /// Maps each chunk of rows, in parallel.
    fn per_chunk<T: Send>(
        &self,
        context: &Context,
        of: impl Fn(std::ops::Range<usize>) -> T + Sync,
    ) -> Result<Vec<T>> {
        let size = (VALUES_PER_CHECK / self.d).clamp(1, 4096);
        (0..self.n_rows().div_ceil(size))
            .into_par_iter()
            .map(|chunk| {
                context.check()?;
                Ok(of(chunk * size..((chunk + 1) * size).min(self.n_rows())))
            })
            .collect()
    }

    fn at(&self, place: u32) -> &[f64] {
        let mut place = place as usize;
        for part in self.parts.iter().flatten() {
            if place < part.nrows() {
                let values = part.as_slice().unwrap_or_default();
                return &values[place * self.d..][..self.d];
            }
            place -= part.nrows();
        }
        &[]
    }

    /// Sorts places by their rows in lexicographic order, and those of equal rows by weight. Sorts runs and merges them, so
    /// that the context is checked often enough however many and wide the rows are.
    fn sort(
        &self,
        mut places: Vec<u32>,
        weight: impl Fn(u32) -> f64 + Sync,
        context: &Context,
    ) -> Result<Vec<u32>> {
        let order = |&a: &u32, &b: &u32| {
            let values = |row| self.at(row).iter().copied().map(bounded);
            lexicographic(values(a), values(b)).then_with(|| weight(a).total_cmp(&weight(b)))
        };
        let mut run = (VALUES_PER_CHECK / 16 / self.d).max(16);
        places.par_chunks_mut(run).try_for_each(|places| {
            context.check()?;
            places.sort_unstable_by(order);
            Ok::<_, Error>(())
        })?;
        let mut merged = vec![0; places.len()];
        while run < places.len() {
            let pairs = places.par_chunks(2 * run);
            pairs
                .zip(merged.par_chunks_mut(2 * run))
                .try_for_each(|(pair, merged)| {
                    let (mut left, mut right) = pair.split_at(run.min(pair.len()));
                    for out in merged.chunks_mut((VALUES_PER_CHECK / self.d).max(1)) {
                        context.check()?;
                        for place in out {
                            let from = match (left.first(), right.first()) {
                                (Some(a), Some(b)) if order(b, a).is_lt() => &mut right,
                                (None, _) => &mut right,
                                _ => &mut left,
                            };
                            if let Some((&first, rest)) = from.split_first() {
                                *place = first;
                                *from = rest;
                            }
                        }
                    }
                    Ok::<_, Error>(())
                })?;
            std::mem::swap(&mut places, &mut merged);
            run *= 2;
        }
        Ok(places)
    }

    /// Merges equal rows among sorted places, and adds their weights.
    fn merge(
        &mut self,
        sorted: &[u32],
        weight: impl Fn(u32) -> f64,
        context: &Context,
    ) -> Result<()> {
        let mut distinct = Vec::with_capacity(sorted.len());
        let mut weights: Vec<f64> = Vec::with_capacity(sorted.len());
        for chunk in sorted.chunks((VALUES_PER_CHECK / self.d).max(1)) {
            context.check()?;
            for &place in chunk {
                let same = |&last: &u32| {
                    let mut values = self.at(last).iter().zip(self.at(place));
                    values.all(|(&a, &b)| bounded(a) == bounded(b))
                };
                if let (true, Some(sum)) = (distinct.last().is_some_and(same), weights.last_mut()) {
                    *sum += weight(place);
                } else {
                    distinct.push(place);
                    weights.push(weight(place));
                }
            }
        }
        self.places = distinct;
        self.weights = weights;
        Ok(())
    }
}

/// The value clamped to [`MAX_VALUE`] in magnitude, with -0 as 0.
pub(super) fn bounded(x: f64) -> f64 {
    x.clamp(-MAX_VALUE, MAX_VALUE) + 0.0
}

/// Fails if there are too few or too many rows. To be called before allocating.
fn check_size(n: usize, d: usize) -> Result<()> {
    if n < 2 || d == 0 {
        let message =
            format!("there are {n} rows of {d} columns; at least 2 rows of 1 column are needed");
        return Err(Error::new(reason::UNUSABLE_ROWS, message));
    }
    // the rows as f32, the support vectors, samples of the rows, and some numbers per row
    let bytes = n.saturating_mul(d.saturating_mul(4 * 5 / 2).saturating_add(96));
    if bytes > MAX_BYTES || n > u32::MAX as usize {
        let message = format!(
            "{n} rows of {d} columns would take {bytes} bytes in a one-class svm, and at most {MAX_BYTES} are allowed; give \
             fewer rows, or leave columns out"
        );
        return Err(Error::new(reason::UNUSABLE_ROWS, message));
    }
    Ok(())
}
