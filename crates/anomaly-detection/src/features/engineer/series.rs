//! What is remembered of one series while rows come in.

use super::layout::{Layout, Target, finite};
use super::moments::RollingMoments;

/// How many rows come at once at most where rows come one by one.
const ROOM: usize = 32;

/// The latest values of one series.
#[derive(Debug, Clone, Default)]
pub(super) struct Series {
    /// For each column at least as many values as are remembered, oldest first; NaN where a value is missing, and before the
    /// first row.
    columns: Vec<Vec<f64>>,
    /// For each column the moments of its values, or nothing. They can be made of the values at any time.
    carried: Vec<RollingMoments>,
}

/// The size in bytes of what one series carries.
pub(super) fn carried_size(layout: &Layout) -> usize {
    layout.n_columns() * RollingMoments::size(layout.longest_window(), ROOM)
}

impl Series {
    /// A series of which `tail` is remembered: column by column, equally many values of each, at most as many as the plan
    /// remembers.
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

    /// Appends what is to be remembered, column by column, without the rows at the start that have no value at all, and
    /// returns the number of rows.
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

    /// The latest values of a column, at least as many as are remembered.
    pub(super) fn column(&self, column: usize) -> &[f64] {
        &self.columns[column]
    }

    /// Whether it carries anything.
    pub(super) fn is_carrying(&self) -> bool {
        !self.carried.is_empty()
    }

    /// Forgets what can be made anew.
    pub(super) fn drop_carried(&mut self) {
        self.carried = Vec::new();
    }

    /// Takes in further values of one column, without making anything of them.
    pub(super) fn append(
        &mut self,
        layout: &Layout,
        column: usize,
        values: impl ExactSizeIterator<Item = f64>,
    ) {
        self.drop_carried();
        let depth = layout.depth();
        let skipped = values.len().saturating_sub(depth);
        let tape = &mut self.columns[column];
        tape.extend(values.skip(skipped).map(finite));
        tape.drain(..tape.len() - depth);
    }

    /// Writes the features of the next row, but for those of its time, and takes the row in.
    pub(super) fn step(
        &mut self,
        layout: &Layout,
        values: impl IntoIterator<Item = f64>,
        out: &mut [f64],
    ) {
        let depth = layout.depth();
        if self.carried.is_empty() {
            let carried = self.columns.iter().map(|tape| {
                let mut moments = RollingMoments::new(layout.longest_window(), ROOM);
                moments.start(&tape[tape.len() - layout.longest_window()..]);
                moments
            });
            self.carried = carried.collect();
        }
        for (column, (tape, value)) in self.columns.iter_mut().zip(values).enumerate() {
            // moving the kept values to the front once in a while costs nothing on average
            if tape.len() >= 2 * depth + ROOM {
                tape.drain(..tape.len() - depth);
            }
            tape.push(finite(value));
            let source = &tape[tape.len() - depth - 1..];
            let moments = &mut self.carried[column];
            let mut target = Target {
                out: &mut *out,
                column,
            };
            layout.write_column(moments, source, &mut target);
        }
    }
}
