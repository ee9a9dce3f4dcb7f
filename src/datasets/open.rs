//! Datasets as what other use cases read: chunk by chunk, or as a whole table.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::{DatasetId, DatasetRecord, Datasets};
use crate::caller::Caller;
use crate::compute::Admission;
use crate::context::Context;
use crate::error::{Error, Reason, Result};
use crate::store::Store;
use crate::table::read::{self, Chunks, FileOptions, FileSummary, Limits, MAX_TEXT_BYTES, Source};
use crate::table::{Table, check_cells};

/// What the memory of whole tables is counted in.
const UNIT_BYTES: u64 = 1 << 16;

/// The memory that whole tables may take together, 2 GiB: a request that names a dataset costs its sender nothing.
pub(super) const WHOLE_UNITS: usize = 1 << 15;

/// A dataset that is open for reading. Deleting it does not disturb that.
#[derive(Debug, Clone)]
pub struct OpenDataset {
    /// The bytes, as they were uploaded.
    pub source: Source,
    /// How they are read.
    pub options: FileOptions,
    /// What reading may cost.
    pub limits: Limits,
    /// What is in them.
    pub summary: FileSummary,
}

/// A dataset in memory, and the share of the memory for such tables that it takes until this is dropped.
#[derive(Debug)]
pub struct WholeTable {
    /// The table.
    pub table: Table,
    /// To be kept as long as the table is.
    pub share: OwnedSemaphorePermit,
}

impl OpenDataset {
    /// The rows, in tables of at most `chunk_rows` rows. To be read on the compute pool.
    pub fn chunks(&self, chunk_rows: usize) -> Result<Chunks> {
        read::chunks(
            &self.source,
            &self.options,
            self.limits,
            &self.summary,
            chunk_rows,
        )
    }

    /// All rows. To be called on the compute pool.
    pub fn table(&self, context: &Context) -> Result<Table> {
        read::whole(
            &self.source,
            &self.options,
            self.limits,
            &self.summary,
            context,
        )
    }
}

impl<S: Store> Datasets<S> {
    /// Opens a dataset for reading in any number of pieces.
    pub async fn open(&self, caller: &Caller, dataset_id: &DatasetId) -> Result<OpenDataset> {
        self.open_recorded(caller, dataset_id)
            .await
            .map(|(open, _)| open)
    }

    /// Reads a dataset as a whole. `known_texts` are the columns of a CSV file that are read as texts whatever they look like.
    ///
    /// Fails when the dataset has more values than a table may have, and, with [`Admission::Refuse`], when other whole tables
    /// take too much memory at the moment.
    pub async fn table(
        &self,
        caller: &Caller,
        dataset_id: &DatasetId,
        known_texts: &[String],
        admission: Admission,
    ) -> Result<WholeTable> {
        let (mut open, record) = self.open_recorded(caller, dataset_id).await?;
        let (n_rows, n_columns) = (record.n_rows, record.n_columns as usize);
        check_cells(usize::try_from(n_rows).unwrap_or(usize::MAX), n_columns)
            .map_err(|error| error.during(&format!("the dataset {:?}", dataset_id.as_str())))?;
        open.summary = open.summary.with_text_columns(known_texts);

        let mut n_bytes = n_rows * n_columns as u64 * 8;
        if record.has_texts || !known_texts.is_empty() {
            n_bytes += record.file.size.min(MAX_TEXT_BYTES as u64);
        }
        let share = self.share(n_bytes, admission).await?;
        let work = move |context: &_| open.table(context);
        let table = self.compute.run(admission, caller.deadline, work).await?;
        Ok(WholeTable { table, share })
    }

    async fn share(&self, n_bytes: u64, admission: Admission) -> Result<OwnedSemaphorePermit> {
        let units = u32::try_from(n_bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        let whole = Arc::clone(&self.whole);
        let share = match admission {
            Admission::Refuse => whole.try_acquire_many_owned(units).ok(),
            Admission::Wait => whole.acquire_many_owned(units).await.ok(),
        };
        share.ok_or_else(|| {
            Error::new(
                Reason::Overloaded,
                "the datasets that are being read take as much memory as they may; try again later",
            )
        })
    }

    async fn open_recorded(
        &self,
        caller: &Caller,
        dataset_id: &DatasetId,
    ) -> Result<(OpenDataset, DatasetRecord)> {
        let (record, description) = self.load(caller, dataset_id).await?;
        let file = match self.store.open_blob(&record.file).await {
            Ok(file) => file,
            Err(error) => return Err(self.lost(caller, dataset_id, &record, error).await),
        };
        let open = OpenDataset {
            source: Source::from_file(file)?,
            limits: description.limits(),
            options: description.options,
            summary: description.summary,
        };
        Ok((open, record))
    }
}
