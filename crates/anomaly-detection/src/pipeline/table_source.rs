//! Tables that are too many to be held: what they are, and the rows to learn from that come of them.

use std::ops::ControlFlow;

use ndarray::{Array2, ArrayView2, Axis};

use crate::context::Context;
use crate::detector::{Block, EachBlock, RowSource};
use crate::error::{Error, Result, reason};
use crate::features::{
    Builder, Engineering, Features, Gaps, Label, Matching, Schema, infinite_to_missing,
};
use crate::table::Table;

/// The most values that are prepared at a time.
const MAX_PREPARED: usize = 1 << 21;

/// The tables of a dataset, which can be walked over again and again: each pass gives the same rows in the same order, however
/// they are cut.
pub trait TableSource: Sync {
    /// How many rows there are.
    fn n_rows(&self) -> usize;

    /// One pass: calls `each` with all rows, table after table, all with the same columns, as long as it wants more.
    ///
    /// # Errors
    /// Those of `each`, what `context` has to say, and what keeps the rows from being read.
    fn visit(&self, context: &Context, each: &mut EachTable<'_>) -> Result<()>;
}

/// What is called with a table, and says whether it wants more of them.
pub type EachTable<'a> = dyn FnMut(Table) -> Result<ControlFlow<()>> + 'a;

/// Rows that are aligned and have what was engineered, but are neither imputed nor encoded.
pub(super) struct RawRows<'a> {
    pub(super) tables: &'a dyn TableSource,
    pub(super) schema: &'a Schema,
    pub(super) matching: Matching<'a>,
    pub(super) engineering: Option<&'a Engineering>,
}

/// Some of them.
pub(super) struct RawBlock {
    /// The values, n x r, with NaN where a value is missing or infinite.
    pub(super) raw: Array2<f64>,
    pub(super) gaps: Gaps,
    pub(super) labels: Option<Vec<Label>>,
}

impl RawRows<'_> {
    /// One pass; returns what engineers the features of the next rows.
    ///
    /// # Errors
    /// Those of the pass, and [`reason::UNSORTED_ROWS`] where features are engineered and a row is earlier than the one before.
    pub(super) fn visit(
        &self,
        context: &Context,
        each: &mut dyn FnMut(RawBlock) -> Result<()>,
    ) -> Result<Option<Builder>> {
        let mut builder = self.engineering.map(Engineering::builder);
        let (mut n_rows, mut latest) = (0, i64::MIN);
        self.tables.visit(context, &mut |table| {
            context.check()?;
            let mut aligned = self.schema.align(table, self.matching)?;
            let gaps = Gaps::count(&aligned.features);
            if gaps.n_infinite > 0 {
                infinite_to_missing(&mut aligned.features);
            }
            let raw = match (self.engineering, &mut builder) {
                (Some(engineering), Some(builder)) => {
                    check_order(aligned.times.as_deref(), n_rows, &mut latest)?;
                    engineering.extend(&aligned, builder, context)?
                }
                _ => std::mem::take(&mut aligned.features),
            };
            n_rows += raw.nrows();
            each(RawBlock {
                raw,
                gaps,
                labels: aligned.labels,
            })?;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(builder)
    }

    /// One pass over the values alone.
    pub(super) fn visit_values(
        &self,
        context: &Context,
        each: &mut dyn FnMut(ArrayView2<'_, f64>) -> Result<()>,
    ) -> Result<()> {
        self.visit(context, &mut |block| each(block.raw.view()))
            .map(|_| ())
    }
}

/// Rows that are not held cannot be sorted.
fn check_order(times: Option<&[Option<i64>]>, first_row: usize, latest: &mut i64) -> Result<()> {
    for (row, time) in times.unwrap_or_default().iter().enumerate() {
        // those without a time come last
        let time = time.unwrap_or(i64::MAX);
        if time < *latest {
            let message = format!(
                "row {} is earlier than one before it, or that one has no time; features are engineered of rows in the order of \
                 their times, and a dataset of this size is not sorted, so upload it in this order",
                first_row + row
            );
            return Err(Error::new(reason::UNSORTED_ROWS, message).at("records"));
        }
        *latest = time;
    }
    Ok(())
}

/// The same rows as a detector sees them.
pub(super) struct PreparedRows<'a> {
    pub(super) rows: &'a RawRows<'a>,
    pub(super) features: &'a Features,
}

impl RowSource for PreparedRows<'_> {
    fn n_rows(&self) -> usize {
        self.rows.tables.n_rows()
    }

    fn n_features(&self) -> usize {
        self.features.n_features()
    }

    fn visit(&self, context: &Context, each: &mut EachBlock<'_>) -> Result<()> {
        // encoded, a row may be many times as long
        let n_rows = (MAX_PREPARED / self.features.n_features().max(1)).max(1);
        self.rows.visit_values(context, &mut |raw| {
            for raw in raw.axis_chunks_iter(Axis(0), n_rows) {
                let observed = self.features.transform_observed(raw);
                let rows = self.features.transform(raw);
                each(Block {
                    rows: rows.view(),
                    observed: observed.view(),
                })?;
            }
            Ok(())
        })
    }
}
