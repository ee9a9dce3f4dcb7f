//! Reads datasets chunk by chunk: a few megabytes at a time, whatever their size.

use super::{DatasetId, Datasets};
use crate::caller::Caller;
use crate::compute::{Admission, Class, Compute};
use crate::error::Result;
use crate::memory::Share;
use crate::store::Store;
use anomaly_detection::table::read;
use anomaly_detection::table::{AbsentCell, Table};

/// The approximate number of values in a chunk.
const CHUNK_CELLS: usize = 1 << 19;

/// The memory of one reader in bytes: its chunks and its buffers, without the pages of a Parquet file or the batches of an Arrow file.
const READER_BYTES: u64 = 64 << 20;

/// The memory of a reader in chunks, for a file whose pages take so many bytes.
pub(super) fn reader_bytes(page_bytes: u64) -> u64 {
    READER_BYTES + page_bytes
}

/// How many rows of a file to read at a time.
pub(super) fn chunk_rows(n_columns: usize) -> usize {
    (CHUNK_CELLS / n_columns.max(1)).max(1)
}

/// A dataset that is being read. Holds its share of the memory for datasets until it is dropped.
pub struct Chunks {
    /// The reader and its share of the memory; `None` after the last chunk or an error.
    reader: Option<(read::Chunks, Share)>,
    n_rows: u64,
    /// The first absent cell of each column, in the rows still to be read.
    absent: Vec<AbsentCell>,
    /// How many rows were read.
    n_read: usize,
    compute: Compute,
    caller: Caller,
}

impl<S: Store> Datasets<S> {
    /// Opens a dataset for reading in chunks, once and in order, of at most `max_rows` rows if that is given. `known_texts` are
    /// the columns of a CSV file that are always read as texts.
    ///
    /// Fails when there is no such dataset, and, with [`Admission::Refuse`], when other datasets that are being read take too
    /// much memory at the moment.
    pub async fn chunks(
        &self,
        caller: &Caller,
        dataset_id: &DatasetId,
        known_texts: &[String],
        admission: Admission,
        max_rows: Option<usize>,
    ) -> Result<Chunks> {
        let mut open = self.open(caller, dataset_id).await?;
        open.summary = open.summary.with_text_columns(known_texts);
        let share = self
            .reader_share(open.summary.page_bytes(), admission)
            .await?;
        let (n_rows, absent) = (open.summary.n_rows(), open.summary.absent().to_vec());
        let start = move |_: &_| Ok((open.chunks(max_rows)?, share));
        let reader = self.compute.run(*caller, Class::Large, admission, start);
        let reader = reader.await?;
        Ok(Chunks {
            reader: Some(reader),
            n_rows,
            absent,
            n_read: 0,
            compute: self.compute.clone(),
            caller: *caller,
        })
    }

    /// The share of the memory for datasets that a reader in chunks takes, for a file whose pages take so many bytes.
    pub async fn reader_share(&self, page_bytes: u64, admission: Admission) -> Result<Share> {
        self.share(reader_bytes(page_bytes), admission).await
    }
}

impl Chunks {
    /// How many rows there are in all.
    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// The next rows, read on the compute pool; `None` after the last.
    ///
    /// # Errors
    /// When they cannot be read. No rows follow.
    pub async fn next(&mut self) -> Result<Option<Table>> {
        let Some((mut chunks, share)) = self.reader.take() else {
            return Ok(None);
        };
        // the share moves along: a reader whose caller has left still reads to the end of the chunk
        let read = move |_: &_| Ok((chunks.next().transpose()?, (chunks, share)));
        let read = self
            .compute
            .run(self.caller, Class::Large, Admission::Wait, read);
        let (Some(table), reader) = read.await? else {
            return Ok(None);
        };
        self.reader = Some(reader);
        let first = self.n_read;
        self.n_read += table.n_rows();
        let n_here = self.absent.partition_point(|cell| cell.row < self.n_read);
        let here = self.absent.drain(..n_here).map(|cell| AbsentCell {
            row: cell.row - first,
            ..cell
        });
        Ok(Some(table.with_absent(here.collect())))
    }
}
