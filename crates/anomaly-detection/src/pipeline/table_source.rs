//! Tables that are too many to be held: what they are, and the rows to learn from that come of them.

use std::ops::ControlFlow;

use super::raw_source::{EachRawBlock, RawBlock, RawSource};
use crate::context::Context;
use crate::error::{Error, Result, reason};
use crate::features::{
    Builder, Engineering, Gaps, Matching, Schema, Vocabulary, infinite_to_missing,
};
use crate::table::Table;

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

/// The rows of such tables, aligned and engineered anew in each pass.
pub(super) struct PassedRows<'a> {
    pub(super) tables: &'a dyn TableSource,
    pub(super) schema: &'a Schema,
    pub(super) matching: Matching<'a>,
    pub(super) engineering: Option<&'a Engineering>,
}

impl RawSource for PassedRows<'_> {
    fn n_rows(&self) -> usize {
        self.tables.n_rows()
    }

    fn vocabulary(&self) -> &Vocabulary {
        self.matching.vocabulary
    }

    fn engineering(&self) -> Option<&Engineering> {
        self.engineering
    }

    /// # Errors
    /// [`reason::UNSORTED_ROWS`] where features are engineered and a row is earlier than the one before, too.
    fn visit(&self, context: &Context, each: &mut EachRawBlock<'_>) -> Result<Option<Builder>> {
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
                raw: raw.view(),
                gaps: &gaps,
                labels: aligned.labels.as_deref(),
            })?;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(builder)
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
