//! Engineers features of many rows at once: of several series in parallel, and of several stretches of a long series. The
//! features of a row depend only on itself and on the rows that the plan looks back on, so that stretches are independent.

use std::ops::Range;

use ndarray::Array2;
use rayon::prelude::*;

use super::builder::{Builder, check_key, misfit};
use super::layout::{Layout, Target, finite};
use super::moments::RollingMoments;
use super::rows::{Members, Rows, group};
use super::series::Series;
use crate::context::Context;
use crate::error::Result;

/// The fewest rows that are processed between two checks of the context, except at the end of a series.
const STRETCH: usize = 8192;

/// How many rows are added to the moments at once, so few that they stay in the first-level cache.
const ROOM: usize = 256;

/// Windows longer than this are updated row by row if fewer rows come than they span.
const LONG: usize = 128;

/// The rows of one series.
struct Group<'a> {
    slot: usize,
    series: Series,
    rows: Members<'a>,
    out: &'a mut [f64],
}

/// The buffers of a thread.
struct Scratch {
    moments: RollingMoments,
    source: Vec<f64>,
}

impl Scratch {
    fn new(layout: &Layout) -> Self {
        Self {
            moments: RollingMoments::new(layout.longest_window(), ROOM),
            source: Vec::new(),
        }
    }
}

impl Builder {
    /// Adds rows and returns their engineered features, n x [`n_features`](super::Engineer::n_features), bit for bit as from
    /// [`push`](Self::push) row by row. Runs in parallel on rayon's current pool, and checks the context every few thousand rows.
    ///
    /// # Errors
    /// Those of [`push`](Self::push), before any row is added; and those of [`Context::check`], after which the builder must not
    /// be used.
    pub fn apply(&mut self, rows: &Rows<'_>, context: &Context) -> Result<Array2<f64>> {
        if !rows.fit(&self.layout) {
            return Err(misfit());
        }
        let firsts = self.first_rows(rows)?;
        let mut out = Array2::zeros((rows.n_rows, self.layout.width()));
        if rows.n_rows == 0 || self.layout.width() == 0 && self.layout.depth() == 0 {
            return Ok(out);
        }
        let Some(flat) = out.as_slice_mut() else {
            return Err(misfit());
        };
        let unknown = firsts
            .iter()
            .filter(|&&row| !self.knows(rows.key(row)))
            .count();
        if self.layout.depth() == 0 {
            self.write_times(rows, flat, context)?;
        } else if self.n_series() + unknown > self.max_series() {
            // which series are forgotten, and when, depends on the order of all rows
            self.row_by_row(rows, flat, context)?;
        } else {
            self.by_series(rows, &firsts, flat, context)?;
        }
        Ok(out)
    }

    /// The first row of each series that has rows, in the order of the rows.
    fn first_rows(&self, rows: &Rows<'_>) -> Result<Vec<usize>> {
        let Some(series) = rows.series else {
            return Ok(Vec::from_iter((rows.n_rows > 0).then_some(0)));
        };
        let mut seen = vec![false; series.keys.len()];
        let mut firsts = Vec::new();
        for (row, &code) in series.codes.iter().enumerate() {
            if !std::mem::replace(&mut seen[code as usize], true) {
                check_key(rows.key(row))?;
                firsts.push(row);
            }
        }
        Ok(firsts)
    }

    fn write_times(&self, rows: &Rows<'_>, out: &mut [f64], context: &Context) -> Result<()> {
        let layout = &self.layout;
        out.par_chunks_mut(STRETCH * layout.width())
            .enumerate()
            .try_for_each(|(stretch, out)| {
                context.check()?;
                for (row, out) in out.chunks_exact_mut(layout.width()).enumerate() {
                    layout.write_time(rows.time(stretch * STRETCH + row), out);
                }
                Ok(())
            })
    }

    /// Adds one row after the other.
    fn row_by_row(&mut self, rows: &Rows<'_>, out: &mut [f64], context: &Context) -> Result<()> {
        let width = self.layout.width();
        for (row, out) in out.chunks_exact_mut(width).enumerate() {
            if row % STRETCH == 0 {
                context.check()?;
            }
            self.layout.write_time(rows.time(row), out);
            let slot = self.slot(rows.key(row));
            self.step(slot, rows.values(row), out);
        }
        Ok(())
    }

    /// Adds the rows of each series together. No series is forgotten.
    fn by_series(
        &mut self,
        rows: &Rows<'_>,
        firsts: &[usize],
        out: &mut [f64],
        context: &Context,
    ) -> Result<()> {
        let slots: Vec<usize> = firsts.iter().map(|&row| self.slot(rows.key(row))).collect();
        let (order, groups) = match rows.series {
            Some(series) if slots.len() > 1 => {
                let (order, groups) = group(series, firsts, &slots);
                (Some(order), groups)
            }
            _ => (None, vec![(slots[0], 0..rows.n_rows)]),
        };
        let mut lasts: Vec<(usize, usize)> = groups
            .iter()
            .map(|(slot, range)| {
                let last = range.end - 1;
                (order.as_ref().map_or(last, |order| order[last]), *slot)
            })
            .collect();
        lasts.sort_unstable();
        for (_, slot) in lasts {
            self.touch(slot);
        }
        match order {
            None => self.write_groups(rows, &groups, None, out, context)?,
            Some(order) => {
                let width = self.layout.width();
                let mut grouped = vec![0.0; out.len()];
                self.write_groups(rows, &groups, Some(&order), &mut grouped, context)?;
                let mut place = vec![0; order.len()];
                for (index, &row) in order.iter().enumerate() {
                    place[row] = index;
                }
                out.par_chunks_mut(width)
                    .with_min_len(STRETCH)
                    .zip(&place)
                    .for_each(|(out, &index)| {
                        out.copy_from_slice(&grouped[index * width..(index + 1) * width]);
                    });
            }
        }
        self.count_carrying();
        Ok(())
    }

    /// Writes the features of the rows in `order`, which are grouped by series.
    fn write_groups(
        &mut self,
        rows: &Rows<'_>,
        groups: &[(usize, Range<usize>)],
        order: Option<&[usize]>,
        out: &mut [f64],
        context: &Context,
    ) -> Result<()> {
        let width = self.layout.width();
        let mut left = out;
        let mut tasks = Vec::with_capacity(groups.len());
        for (slot, range) in groups {
            let (out, rest) = left.split_at_mut(range.len() * width);
            left = rest;
            tasks.push(Group {
                slot: *slot,
                series: std::mem::take(&mut self.slots[*slot].series),
                rows: order.map_or(Members::All(range.len()), |order| {
                    Members::These(&order[range.clone()])
                }),
                out,
            });
        }
        let layout = &self.layout;
        // if all series together carry too much, the next single row drops it
        let may_carry = tasks.len() <= self.max_carrying();
        let done = tasks.par_iter_mut().try_for_each_init(
            || Scratch::new(layout),
            |scratch, group| {
                group.write(layout, rows, scratch, context)?;
                if !may_carry {
                    group.series.drop_carried();
                }
                Ok(())
            },
        );
        for group in tasks {
            self.slots[group.slot].series = group.series;
        }
        done
    }
}

impl Group<'_> {
    fn write(
        &mut self,
        layout: &Layout,
        rows: &Rows<'_>,
        scratch: &mut Scratch,
        context: &Context,
    ) -> Result<()> {
        context.check()?;
        let n = self.rows.len();
        let width = layout.width();
        if layout.longest_window() > LONG && n < layout.longest_window() {
            for (index, out) in self.out.chunks_exact_mut(width).enumerate() {
                let row = self.rows.get(index);
                layout.write_time(rows.time(row), out);
                self.series.step(layout, rows.values(row), out);
            }
            return Ok(());
        }
        // the rows that a stretch looks back on cost as much as its own
        let stretch = STRETCH.max(4 * layout.depth());
        let (series, members) = (&self.series, self.rows);
        let write = |scratch: &mut Scratch, (index, out): (usize, &mut [f64])| -> Result<()> {
            context.check()?;
            let start = index * stretch;
            let end = start + out.len() / width;
            write_stretch(layout, rows, series, members, start..end, scratch, out);
            Ok(())
        };
        if n <= stretch {
            write(scratch, (0, &mut *self.out))?;
        } else {
            self.out
                .par_chunks_mut(stretch * width)
                .enumerate()
                .with_max_len(4)
                .try_for_each_init(|| Scratch::new(layout), write)?;
        }
        for (column, values) in rows.columns.iter().enumerate() {
            let from = n.saturating_sub(layout.depth());
            let latest = (from..n).map(|index| values[members.get(index)]);
            self.series.append(layout, column, latest);
        }
        Ok(())
    }
}

/// Writes the features of a stretch of the rows of a series.
fn write_stretch(
    layout: &Layout,
    rows: &Rows<'_>,
    series: &Series,
    members: Members<'_>,
    stretch: Range<usize>,
    scratch: &mut Scratch,
    out: &mut [f64],
) {
    let depth = layout.depth();
    for (column, values) in rows.columns.iter().enumerate() {
        let source = &mut scratch.source;
        source.clear();
        // the values before the first of the rows are remembered
        let remembered = series.column(column);
        let n_remembered = depth.saturating_sub(stretch.start);
        let from = stretch.start.saturating_sub(depth);
        source.extend_from_slice(&remembered[remembered.len() - n_remembered..]);
        match members {
            Members::All(_) => {
                source.extend(values[from..stretch.end].iter().map(|&value| finite(value)));
            }
            Members::These(these) => {
                let these = &these[from..stretch.end];
                source.extend(these.iter().map(|&row| finite(values[row])));
            }
        }
        scratch
            .moments
            .restart(&source[depth - layout.longest_window()..depth]);
        let mut target = Target {
            out: &mut *out,
            column,
        };
        layout.write_column(&mut scratch.moments, source, &mut target);
    }
    for (index, out) in stretch.zip(out.chunks_exact_mut(layout.width())) {
        layout.write_time(rows.time(members.get(index)), out);
    }
}
