//! Datasets as a source of tables for training in passes.

use super::rows::RowIds;
use crate::datasets::OpenDataset;
use crate::error::Result;
use anomaly_detection::context::Context;
use anomaly_detection::pipeline::{EachTable, TableSource};

/// An open dataset, and where its row ids are: nothing is learned from those.
pub(super) struct DatasetTables(OpenDataset, RowIds);

impl DatasetTables {
    /// `known_texts` are the columns of a CSV file that are always read as texts.
    pub(super) fn new(mut open: OpenDataset, known_texts: &[String], ids: RowIds) -> Self {
        open.summary = open.summary.with_text_columns(known_texts);
        Self(open, ids)
    }

    /// The bytes of the pages of a Parquet file that are read at once.
    pub(super) fn page_bytes(&self) -> u64 {
        self.0.summary.page_bytes()
    }

    /// The number of values in `n_rows` of its rows.
    pub(super) fn n_cells(&self, n_rows: usize) -> u64 {
        let n_columns = self.0.summary.columns().len() as u64;
        n_columns.saturating_mul(n_rows as u64)
    }
}

impl TableSource for DatasetTables {
    fn n_rows(&self) -> usize {
        usize::try_from(self.0.summary.n_rows()).unwrap_or(usize::MAX)
    }

    fn visit(&self, context: &Context, each: &mut EachTable<'_>) -> Result<()> {
        let mut first_row = 0;
        for table in self.0.chunks(None)? {
            context.check()?;
            let mut table = table?;
            let ids = self.1.clone().take_from(&mut table);
            ids.map_err(|error| error.within("records").counted_from(first_row))?;
            let n_rows = table.n_rows();
            if each(table)
                .map_err(|error| error.counted_from(first_row))?
                .is_break()
            {
                break;
            }
            first_row += n_rows;
        }
        Ok(())
    }
}
