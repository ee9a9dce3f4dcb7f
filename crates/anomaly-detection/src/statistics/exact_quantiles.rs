//! Exact quantiles of more values than fit in memory. A first pass over the rows finds a bracket around each quantile; a second
//! pass counts the values below the bracket and keeps those inside.
//!
//! The idea is that of Munro and Paterson, "Selection and sorting with limited storage" (1980). The brackets come from
//! [rank summaries](crate::statistics::rank_summary), whose bounds are certain, so that the most values that a bracket can hold
//! is known before the second pass. Values equal to an end of the bracket are only counted, so that a frequent value takes no
//! more memory than a rare one. The result depends on the values alone, not on their order or on how the rows are cut.

use std::ops::Range;

use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

use super::quantile::{between, place, quantile};
use super::rank_summary::{ColumnStream, RankSummary};
use super::rechunk::{Visit, changed};
use crate::context::Context;
use crate::error::{Error, Result};

/// The most bytes of values that are kept in one pass, except that the brackets of one column are always in the same pass.
const MAX_KEPT_BYTES: u64 = 48 << 20;

/// How many rows are searched between two checks of the context.
const CHUNK_ROWS: usize = 4096;

/// The type 7 [quantiles](super::quantile) of each column of rows of this shape, n x d: a vector for each column with one
/// quantile for each of `qs`, `None` if the column has no values. Values that are not finite are left out.
///
/// Takes two passes over the rows. One is enough if no column has more than 32,768 distinct values (fewer if there are more
/// than 16 columns, but at least 8,192), and more are needed if the brackets of all columns hold more than 48 MB. Runs in
/// parallel on rayon's current pool. Needs the memory of a [`ColumnStream`] and that of the brackets. If all rows come in one
/// chunk, the quantiles are selected from copies of the columns instead, one column per thread.
///
/// # Errors
/// Those of `visit`, [`reason::UNUSABLE_ROWS`] where the passes do not see the same rows, and those of [`Context::check`].
pub(crate) fn exact_quantiles(
    shape: (usize, usize),
    visit: &Visit<'_>,
    qs: &[f64],
    context: &Context,
) -> Result<Vec<Vec<Option<f64>>>> {
    let mut search = QuantileSearch::new(shape);
    visit(&mut |rows| search.push(rows, context))?;
    search.finish(visit, qs, context)
}

/// The search for [exact quantiles](exact_quantiles), for a caller that does other work in the first pass too.
#[derive(Debug)]
pub(crate) struct QuantileSearch {
    n_rows: usize,
    /// The summaries of the rows so far; empty if all rows came in one chunk.
    stream: ColumnStream<RankSummary>,
    is_one_chunk: bool,
}

impl QuantileSearch {
    /// A search over rows of this shape, n x d, before the first pass.
    pub(crate) fn new((n_rows, n_features): (usize, usize)) -> Self {
        Self {
            n_rows,
            stream: ColumnStream::new(n_features),
            is_one_chunk: false,
        }
    }

    /// Adds rows of the first pass.
    ///
    /// # Errors
    /// Those of [`Context::check`].
    ///
    /// # Panics
    /// If the rows have another number of columns.
    pub(crate) fn push(&mut self, rows: ArrayView2<'_, f64>, context: &Context) -> Result<()> {
        if rows.nrows() == self.n_rows {
            self.is_one_chunk = true;
            return context.check();
        }
        self.stream.push(rows, context)
    }

    /// The quantiles, once the first pass is over.
    ///
    /// # Errors
    /// As [`exact_quantiles`].
    pub(crate) fn finish(
        self,
        visit: &Visit<'_>,
        qs: &[f64],
        context: &Context,
    ) -> Result<Vec<Vec<Option<f64>>>> {
        if !self.is_one_chunk {
            return quantiles_within(&self.stream.finish(context)?, visit, qs, context);
        }
        let mut quantiles = Vec::new();
        visit(&mut |rows| {
            context.check()?;
            if rows.nrows() != self.n_rows {
                return Err(changed());
            }
            quantiles = of_one_chunk(rows, qs);
            Ok(())
        })?;
        Ok(quantiles)
    }
}

fn of_one_chunk(rows: ArrayView2<'_, f64>, qs: &[f64]) -> Vec<Vec<Option<f64>>> {
    let columns = (0..rows.ncols()).into_par_iter();
    let of_one = |column: usize| {
        let values = rows.column(column).into_iter().copied();
        let mut values: Vec<f64> = values.filter(|x| x.is_finite()).collect();
        qs.iter().map(|&q| quantile(&mut values, q)).collect()
    };
    columns.map(of_one).collect()
}

/// The quantiles of columns, given their summaries from the first pass.
fn quantiles_within(
    summaries: &[RankSummary],
    visit: &Visit<'_>,
    qs: &[f64],
    context: &Context,
) -> Result<Vec<Vec<Option<f64>>>> {
    let brackets: Vec<Vec<Option<Bracket>>> = summaries
        .iter()
        .map(|summary| qs.iter().map(|&q| Bracket::of(summary, q)).collect())
        .collect();
    let mut quantiles = Vec::with_capacity(summaries.len());
    for columns in passes(&brackets) {
        let brackets = &brackets[columns.clone()];
        let mut found: Vec<Vec<Found>> = nothing_found(brackets);
        if brackets.iter().flatten().flatten().any(Bracket::is_open) {
            visit(&mut |rows| search(rows, columns.start, brackets, &mut found, context))?;
        }
        for (brackets, found) in brackets.iter().zip(found) {
            let values = brackets.iter().zip(found).map(|(bracket, found)| {
                let quantile = |bracket: &Bracket| bracket.quantile(found);
                bracket.as_ref().map(quantile).transpose()
            });
            quantiles.push(values.collect::<Result<_>>()?);
        }
    }
    Ok(quantiles)
}

/// Bounds around a quantile.
#[derive(Debug, Clone)]
struct Bracket {
    /// The rank of the value at or below the quantile, counted from 0, and the fraction of the way to the next value.
    rank: u64,
    fraction: f64,
    /// A value that is certainly not above the quantile's two neighbours, and one that is certainly not below them.
    low: f64,
    high: f64,
    /// The most values that can lie strictly between these two.
    between: u64,
    /// The values at `rank` and after it, if the summary already determines them.
    known: Option<(f64, f64)>,
}

impl Bracket {
    fn of(summary: &RankSummary, q: f64) -> Option<Self> {
        let (rank, fraction) = place(summary.n(), q)?;
        let next = if fraction == 0.0 { rank } else { rank + 1 };
        let (low, high, between) = summary.bracket(rank, next)?;
        let one = |rank| {
            let (low, high, _) = summary.bracket(rank, rank)?;
            (low == high).then_some(low)
        };
        Some(Self {
            rank,
            fraction,
            low,
            high,
            between,
            known: one(rank).zip(one(next)),
        })
    }

    /// Whether a second pass is needed to find the values.
    fn is_open(&self) -> bool {
        self.known.is_none()
    }

    fn kept_bytes(&self) -> u64 {
        if self.is_open() {
            self.between.saturating_mul(size_of::<f64>() as u64)
        } else {
            0
        }
    }

    fn quantile(&self, mut found: Found) -> Result<f64> {
        let (low, high) = match self.known {
            Some(known) => known,
            None => {
                found.between.sort_unstable_by(f64::total_cmp);
                let next = self.rank + u64::from(self.fraction > 0.0);
                (self.at(self.rank, &found)?, self.at(next, &found)?)
            }
        };
        let point = if self.fraction == 0.0 {
            low
        } else {
            between(low, high, self.fraction)
        };
        Ok(point + 0.0)
    }

    /// The value at a rank.
    fn at(&self, rank: u64, found: &Found) -> Result<f64> {
        let Some(above) = rank.checked_sub(found.below) else {
            return Err(changed());
        };
        let Some(inside) = above.checked_sub(found.at_low) else {
            return Ok(self.low);
        };
        let n_between = found.between.len() as u64;
        match found.between.get(inside as usize) {
            Some(&value) => Ok(value),
            None if inside - n_between < found.at_high => Ok(self.high),
            None => Err(changed()),
        }
    }
}

/// What the second pass found below, at the ends of and inside a bracket.
#[derive(Debug, Clone, Default)]
struct Found {
    below: u64,
    at_low: u64,
    between: Vec<f64>,
    at_high: u64,
}

impl Found {
    fn add(&mut self, x: f64, bracket: &Bracket) {
        if x <= bracket.low {
            self.below += u64::from(x < bracket.low);
            self.at_low += u64::from(x == bracket.low);
        } else if x < bracket.high {
            self.between.push(x);
        } else {
            self.at_high += u64::from(x == bracket.high);
        }
    }

    fn merge(&mut self, other: Self) {
        self.below += other.below;
        self.at_low += other.at_low;
        self.between.extend(other.between);
        self.at_high += other.at_high;
    }
}

fn nothing_found(brackets: &[Vec<Option<Bracket>>]) -> Vec<Vec<Found>> {
    let columns = brackets.iter();
    columns
        .map(|brackets| vec![Found::default(); brackets.len()])
        .collect()
}

/// The columns of each pass, chosen so that their brackets together hold no more than [`MAX_KEPT_BYTES`].
fn passes(brackets: &[Vec<Option<Bracket>>]) -> Vec<Range<usize>> {
    let mut passes = Vec::new();
    let (mut start, mut bytes) = (0, 0_u64);
    for (column, brackets) in brackets.iter().enumerate() {
        let kept = brackets
            .iter()
            .flatten()
            .map(Bracket::kept_bytes)
            .fold(0, u64::saturating_add);
        if column > start && bytes.saturating_add(kept) > MAX_KEPT_BYTES {
            passes.push(start..column);
            (start, bytes) = (column, 0);
        }
        bytes = bytes.saturating_add(kept);
    }
    passes.push(start..brackets.len());
    passes
}

/// Searches a chunk for the values of the brackets, which belong to the columns from `first` on.
fn search(
    rows: ArrayView2<'_, f64>,
    first: usize,
    brackets: &[Vec<Option<Bracket>>],
    found: &mut Vec<Vec<Found>>,
    context: &Context,
) -> Result<()> {
    let here = rows
        .axis_chunks_iter(Axis(0), CHUNK_ROWS)
        .into_par_iter()
        .try_fold(
            || nothing_found(brackets),
            |mut found, rows| {
                context.check()?;
                for row in rows.rows() {
                    let columns = brackets.iter().zip(&mut found);
                    for (&x, (brackets, found)) in row.iter().skip(first).zip(columns) {
                        if !x.is_finite() {
                            continue;
                        }
                        for (bracket, found) in brackets.iter().zip(found) {
                            if let Some(bracket) = bracket
                                && bracket.is_open()
                            {
                                found.add(x, bracket);
                            }
                        }
                    }
                }
                Ok::<_, Error>(found)
            },
        )
        .try_reduce(|| nothing_found(brackets), |a, b| Ok(merged(a, b)))?;
    *found = merged(std::mem::take(found), here);
    if exceeds_bounds(brackets, found) {
        return Err(changed());
    }
    Ok(())
}

fn merged(mut a: Vec<Vec<Found>>, b: Vec<Vec<Found>>) -> Vec<Vec<Found>> {
    for (a, b) in a.iter_mut().flatten().zip(b.into_iter().flatten()) {
        a.merge(b);
    }
    a
}

/// Whether a bracket holds more values than its bound. A source whose rows change between passes must not exhaust the memory.
fn exceeds_bounds(brackets: &[Vec<Option<Bracket>>], found: &[Vec<Found>]) -> bool {
    let mut pairs = brackets.iter().flatten().zip(found.iter().flatten());
    pairs.any(|(bracket, found)| {
        bracket
            .as_ref()
            .is_some_and(|bracket| found.between.len() as u64 > bracket.between)
    })
}

#[cfg(test)]
mod tests;
