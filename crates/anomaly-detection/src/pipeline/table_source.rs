//! Tables that do not fit in memory, and the rows to learn from in them.

use std::borrow::Cow;
use std::ops::ControlFlow;

use super::raw_source::{EachRawChunk, RawChunk, RawSource};
use crate::context::{Context, Unit};
use crate::error::{Error, Result, reason};
use crate::features::{
    Builder, Engineering, Gaps, Matching, Schema, Vocabulary, infinite_to_missing,
};
use crate::table::Table;

/// The tables of a dataset. Every pass gives the same rows in the same order, however they are cut into tables.
pub trait TableSource: Sync {
    /// How many rows there are.
    fn n_rows(&self) -> usize;

    /// One pass: calls `each` with one table after the other, all with the same columns, until it breaks off.
    ///
    /// # Errors
    /// Those of `each`, of [`Context::check`] and of reading the tables.
    fn visit(&self, context: &Context, each: &mut EachTable<'_>) -> Result<()>;
}

/// A callback that takes a table and says whether to continue.
pub type EachTable<'a> = dyn FnMut(Table) -> Result<ControlFlow<()>> + 'a;

/// The rows of such tables, aligned and with their engineered features computed again in each pass.
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
    /// Also [`reason::UNSORTED_ROWS`] if features are engineered and a row is earlier than the one before.
    fn visit(&self, context: &Context, each: &mut EachRawChunk<'_>) -> Result<Option<Builder>> {
        let mut builder = self.engineering.map(Engineering::builder);
        let (mut n_rows, mut latest) = (0, i64::MIN);
        let step = context.step(Unit::Rows, self.n_rows());
        self.tables.visit(context, &mut |table| {
            context.check()?;
            let mut aligned = self.schema.align(Cow::Owned(table), self.matching)?;
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
            each(RawChunk {
                raw: raw.view(),
                gaps: &gaps,
                labels: aligned.labels.as_deref(),
            })?;
            step.advance(raw.nrows());
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(builder)
    }
}

/// Checks that rows are sorted by time, since rows that are not held cannot be sorted.
fn check_order(times: Option<&[Option<i64>]>, first_row: usize, latest: &mut i64) -> Result<()> {
    for (row, time) in times.unwrap_or_default().iter().enumerate() {
        // rows without a time come last
        let time = time.unwrap_or(i64::MAX);
        if time < *latest {
            let message = format!(
                "row {} is earlier than one before it, or that one has no time; feature engineering needs rows in the order of \
                 their times, and a dataset of this size is not sorted, so upload it in this order",
                first_row + row
            );
            return Err(Error::new(reason::UNSORTED_ROWS, message).at("records"));
        }
        *latest = time;
    }
    Ok(())
}
