//! The state of one series while rows are added.

use super::layout::{Layout, Target, finite};
use super::moments::RollingMoments;

/// The room of rolling moments to which rows are added one by one.
const ROOM: usize = 32;

/// The latest values of one series.
#[derive(Debug, Clone, Default)]
pub(super) struct Series {
    /// For each column its latest values, at least as many as the plan looks back, oldest first; NaN where a value is missing,
    /// and before the first row.
    columns: Vec<Vec<f64>>,
    /// For each column its rolling moments, or nothing; they can be computed from the values at any time.
    carried: Vec<RollingMoments>,
}

/// The size in bytes of the rolling moments that one series carries.
pub(super) fn carried_size(layout: &Layout) -> usize {
    layout.n_columns() * RollingMoments::size(layout.longest_window(), ROOM)
}

impl Series {
    /// A series with a remembered `tail`: the values of one column after the other, equally many of each and at most as many as
    /// the plan looks back.
    pub(super) fn with_tail(layout: &Layout, tail: &[f64]) -> Self {
        let rows = tail.len() / layout.n_columns();
        let columns = (0..layout.n_columns())
            .map(|column| {
                let mut values = Vec::with_capacity(layout.depth() + 1);
                values.resize(layout.depth().saturating_sub(rows), f64::NAN);
                values.extend_from_slice(&tail[column * rows..(column + 1) * rows]);
                values
            })
            .collect();
        Self {
            columns,
            carried: Vec::new(),
        }
    }

    /// Appends the values to remember, one column after the other, and returns the number of rows. Rows at the start that have no
    /// value at all are left out.
    pub(super) fn put_tail(&self, layout: &Layout, out: &mut Vec<f64>) -> usize {
        let depth = layout.depth();
        let rows = (1..=depth)
            .rev()
            .find(|&back| {
                let present = |values: &Vec<f64>| !values[values.len() - back].is_nan();
                self.columns.iter().any(present)
            })
            .unwrap_or(0);
        for values in &self.columns {
            out.extend_from_slice(&values[values.len() - rows..]);
        }
        rows
    }

    /// The latest values of a column, at least as many as the plan looks back.
    pub(super) fn column(&self, column: usize) -> &[f64] {
        &self.columns[column]
    }

    /// Whether it carries rolling moments.
    pub(super) fn is_carrying(&self) -> bool {
        !self.carried.is_empty()
    }

    /// Drops the rolling moments, which can be recomputed.
    pub(super) fn drop_carried(&mut self) {
        self.carried = Vec::new();
    }

    /// Adds further values of one column without computing features.
    pub(super) fn append(
        &mut self,
        layout: &Layout,
        column: usize,
        values: impl ExactSizeIterator<Item = f64>,
    ) {
        self.drop_carried();
        let depth = layout.depth();
        let skipped = values.len().saturating_sub(depth);
        let latest = &mut self.columns[column];
        latest.extend(values.skip(skipped).map(finite));
        latest.drain(..latest.len() - depth);
    }

    /// Adds the next row and writes its features, except those of its time.
    pub(super) fn step(
        &mut self,
        layout: &Layout,
        values: impl IntoIterator<Item = f64>,
        out: &mut [f64],
    ) {
        let depth = layout.depth();
        if self.carried.is_empty() {
            let carried = self.columns.iter().map(|latest| {
                let mut moments = RollingMoments::new(layout.longest_window(), ROOM);
                moments.start(&latest[latest.len() - layout.longest_window()..]);
                moments
            });
            self.carried = carried.collect();
        }
        for (column, (latest, value)) in self.columns.iter_mut().zip(values).enumerate() {
            // the kept values are moved to the front so rarely that the amortised cost is constant
            if latest.len() >= 2 * depth + ROOM {
                latest.drain(..latest.len() - depth);
            }
            latest.push(finite(value));
            let source = &latest[latest.len() - depth - 1..];
            let moments = &mut self.carried[column];
            let mut target = Target {
                out: &mut *out,
                column,
            };
            layout.write_column(moments, source, &mut target);
        }
    }
}
