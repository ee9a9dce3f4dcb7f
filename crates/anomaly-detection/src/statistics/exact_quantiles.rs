//! Exact quantiles of more values than can be held: a first pass over the rows brackets each of them, a second one counts what
//! lies below the bracket and keeps what lies inside.
//!
//! The idea is that of Munro and Paterson, "Selection and sorting with limited storage" (1980). The brackets come from
//! [rank summaries](crate::statistics::rank_summary), whose bounds are certain: how many values a bracket holds at most is
//! known before the second pass, and its two ends are counted, not kept, so that no value takes more room for coming often.
//! The result depends on the values alone, neither on their order nor on how the rows are cut.

use std::ops::Range;

use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

use super::quantile::{between, place, quantile};
use super::rank_summary::{ColumnStream, RankSummary};
use super::reblock::Visit;
use crate::context::Context;
use crate::error::{Error, Result, reason};

/// The most bytes of values that are kept in one pass; the brackets of one column are never divided.
const MAX_KEPT_BYTES: u64 = 48 << 20;

/// How many rows are looked through between two looks at the context.
const BLOCK_ROWS: usize = 4096;

/// The type 7 [quantiles](super::quantile) at each of `qs` of each column of rows of this shape, n x d: for each column in turn
/// one for each of `qs`, `None` for a column without values. Values that are not finite are left out.
///
/// In two passes over the rows, or one where no column has more than 32,768 distinct values (fewer of more than 16 columns,
/// but 8,192 at least), or some more where the brackets of all columns hold more than 48 MB. In parallel on rayon's current
/// pool; beside the brackets it holds what a [`ColumnStream`] does. Rows that come in one block are sorted as far as needed
/// instead, a column on each thread.
///
/// # Errors
/// Those of `visit`, [`reason::UNUSABLE_ROWS`] where the passes do not see the same rows, and what `context` has to say.
pub fn exact_quantiles(
    shape: (usize, usize),
    visit: &Visit<'_>,
    qs: &[f64],
    context: &Context,
) -> Result<Vec<Vec<Option<f64>>>> {
    let mut search = QuantileSearch::new(shape);
    visit(&mut |rows| search.push(rows, context))?;
    search.finish(visit, qs, context)
}

/// [Exact quantiles](exact_quantiles) whose first pass is made beside other work.
#[derive(Debug)]
pub struct QuantileSearch {
    n_rows: usize,
    /// What was seen; rows that come in one block are not summarised.
    stream: ColumnStream<RankSummary>,
    is_one_block: bool,
}

impl QuantileSearch {
    /// Before any of the rows, n x d.
    pub fn new((n_rows, n_features): (usize, usize)) -> Self {
        Self {
            n_rows,
            stream: ColumnStream::new(n_features),
            is_one_block: false,
        }
    }

    /// Takes in rows of the first pass.
    ///
    /// # Errors
    /// What `context` has to say.
    ///
    /// # Panics
    /// If the rows have another number of columns.
    pub fn push(&mut self, rows: ArrayView2<'_, f64>, context: &Context) -> Result<()> {
        if rows.nrows() == self.n_rows {
            self.is_one_block = true;
            return context.check();
        }
        self.stream.push(rows, context)
    }

    /// The quantiles, when the first pass is over.
    ///
    /// # Errors
    /// As [`exact_quantiles`].
    pub fn finish(
        self,
        visit: &Visit<'_>,
        qs: &[f64],
        context: &Context,
    ) -> Result<Vec<Vec<Option<f64>>>> {
        if !self.is_one_block {
            return quantiles_within(&self.stream.finish(context)?, visit, qs, context);
        }
        let mut quantiles = Vec::new();
        visit(&mut |rows| {
            context.check()?;
            if rows.nrows() != self.n_rows {
                return Err(changed());
            }
            quantiles = of_one_block(rows, qs);
            Ok(())
        })?;
        Ok(quantiles)
    }
}

fn of_one_block(rows: ArrayView2<'_, f64>, qs: &[f64]) -> Vec<Vec<Option<f64>>> {
    let columns = (0..rows.ncols()).into_par_iter();
    let of_one = |column: usize| {
        let values = rows.column(column).into_iter().copied();
        let mut values: Vec<f64> = values.filter(|x| x.is_finite()).collect();
        qs.iter().map(|&q| quantile(&mut values, q)).collect()
    };
    columns.map(of_one).collect()
}

/// The quantiles of columns of which the first pass has left these summaries.
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
        let mut found: Vec<Vec<Found>> = no_values(brackets);
        if brackets.iter().flatten().flatten().any(Bracket::is_open) {
            visit(&mut |rows| look_through(rows, columns.start, brackets, &mut found, context))?;
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

/// Where a quantile lies.
#[derive(Debug, Clone)]
struct Bracket {
    /// The number of the value at or below it, counted from 0, and the fraction of the way to the next one.
    rank: u64,
    fraction: f64,
    /// Values that are certainly not above the one and not below the other.
    low: f64,
    high: f64,
    /// How many values there are strictly between these two at most.
    between: u64,
    /// The value at or below it and the next one, where they are known already.
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

    /// Whether values are yet to be found.
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

    /// The value of a rank.
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

/// What was found in and below a bracket.
#[derive(Debug, Clone, Default)]
struct Found {
    below: u64,
    at_low: u64,
    between: Vec<f64>,
    at_high: u64,
}

impl Found {
    fn see(&mut self, x: f64, bracket: &Bracket) {
        if x <= bracket.low {
            self.below += u64::from(x < bracket.low);
            self.at_low += u64::from(x == bracket.low);
        } else if x < bracket.high {
            self.between.push(x);
        } else {
            self.at_high += u64::from(x == bracket.high);
        }
    }

    fn join(&mut self, other: Self) {
        self.below += other.below;
        self.at_low += other.at_low;
        self.between.extend(other.between);
        self.at_high += other.at_high;
    }
}

fn no_values(brackets: &[Vec<Option<Bracket>>]) -> Vec<Vec<Found>> {
    let columns = brackets.iter();
    columns
        .map(|brackets| vec![Found::default(); brackets.len()])
        .collect()
}

/// The columns of each pass, so that their brackets hold no more than [`MAX_KEPT_BYTES`] together.
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

/// Looks through the columns of a block from `first` on, one for each of the brackets.
fn look_through(
    rows: ArrayView2<'_, f64>,
    first: usize,
    brackets: &[Vec<Option<Bracket>>],
    found: &mut Vec<Vec<Found>>,
    context: &Context,
) -> Result<()> {
    let here = rows
        .axis_chunks_iter(Axis(0), BLOCK_ROWS)
        .into_par_iter()
        .try_fold(
            || no_values(brackets),
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
                                found.see(x, bracket);
                            }
                        }
                    }
                }
                Ok::<_, Error>(found)
            },
        )
        .try_reduce(|| no_values(brackets), |a, b| Ok(joined(a, b)))?;
    *found = joined(std::mem::take(found), here);
    if is_too_much(brackets, found) {
        return Err(changed());
    }
    Ok(())
}

fn joined(mut a: Vec<Vec<Found>>, b: Vec<Vec<Found>>) -> Vec<Vec<Found>> {
    for (a, b) in a.iter_mut().flatten().zip(b.into_iter().flatten()) {
        a.join(b);
    }
    a
}

/// Whether a bracket holds more than it can; a source whose rows change must not fill the memory.
fn is_too_much(brackets: &[Vec<Option<Bracket>>], found: &[Vec<Found>]) -> bool {
    let mut pairs = brackets.iter().flatten().zip(found.iter().flatten());
    pairs.any(|(bracket, found)| {
        bracket
            .as_ref()
            .is_some_and(|bracket| found.between.len() as u64 > bracket.between)
    })
}

fn changed() -> Error {
    let message = "the rows changed while they were read; train again";
    Error::new(reason::UNUSABLE_ROWS, message)
}

#[cfg(test)]
mod tests;
