//! Opens datasets for other use cases, to be read chunk by chunk or as a whole table.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::chunks::chunk_rows;
use super::{DatasetId, DatasetRecord, Datasets};
use crate::caller::Caller;
use crate::compute::{Admission, Class};
use crate::error::Result;
use crate::memory::Share;
use crate::store::{BlobReader, BlobRef, Store, StoreError};
use anomaly_detection::context::{Context, Progress};
use anomaly_detection::statistics::draw::Draw;
use anomaly_detection::table::read::{
    self, Chunks, FileOptions, FileSummary, Limits, MAX_TEXT_BYTES, ReadAt, Source,
};
use anomaly_detection::table::{Table, check_cells};

/// A dataset that is open for reading. It stays readable when it is deleted.
#[derive(Debug, Clone)]
pub struct OpenDataset {
    /// The file, as it was uploaded.
    pub source: Source,
    /// How the file is read.
    pub options: FileOptions,
    /// The limits to read it with.
    pub limits: Limits,
    /// The columns and rows of the file.
    pub summary: FileSummary,
}

/// A dataset in memory, with its share of the memory for datasets.
#[derive(Debug)]
pub struct WholeTable {
    /// The table.
    pub table: Table,
    /// Must be kept as long as the table.
    pub share: Share,
}

impl OpenDataset {
    /// The rows, in tables of about half a million values, and of at most `max_rows` rows if that is given. To be read on the
    /// compute pool.
    pub fn chunks(&self, max_rows: Option<usize>) -> Result<Chunks> {
        let chunk_rows = chunk_rows(self.summary.columns().len());
        read::chunks(
            &self.source,
            &self.options,
            self.limits,
            &self.summary,
            chunk_rows.min(max_rows.unwrap_or(usize::MAX)).max(1),
        )
    }

    /// All rows, or those with the given numbers, in ascending order. To be called on the compute
    /// pool.
    pub fn table(&self, rows: Option<&[usize]>, context: &Context) -> Result<Table> {
        read::whole(
            &self.source,
            &self.options,
            self.limits,
            &self.summary,
            rows,
            context,
        )
    }
}

impl<S: Store> Datasets<S> {
    /// Opens a dataset for reading in any number of chunks.
    pub async fn open(&self, caller: &Caller, dataset_id: &DatasetId) -> Result<OpenDataset> {
        self.open_recorded(caller, dataset_id)
            .await
            .map(|(open, _)| open)
    }

    /// Reads a dataset as a whole, or the rows of a draw. `known_texts` are the columns of a CSV file that are always read
    /// as texts. Reading is reported to `progress`.
    ///
    /// Fails when there are more values than a table may have, and, with [`Admission::Refuse`], when other datasets that are
    /// being read take too much memory at the moment.
    pub async fn table(
        &self,
        caller: &Caller,
        dataset_id: &DatasetId,
        known_texts: &[String],
        draw: Option<Draw>,
        admission: Admission,
        progress: Option<&Progress>,
    ) -> Result<WholeTable> {
        let (mut open, record) = self.open_recorded(caller, dataset_id).await?;
        let n_all = usize::try_from(record.n_rows).unwrap_or(usize::MAX);
        let draw = draw.filter(|draw| draw.n < n_all);
        let n_rows = draw.map_or(n_all, |draw| draw.n);
        let n_columns = record.n_columns as usize;
        check_cells(n_rows, n_columns)
            .map_err(|error| error.during(&format!("the dataset {:?}", dataset_id.as_str())))?;
        open.summary = open.summary.with_text_columns(known_texts);

        let mut n_bytes = n_rows as u64 * n_columns as u64 * 8;
        if record.has_texts || !known_texts.is_empty() {
            n_bytes += record.file.size.min(MAX_TEXT_BYTES as u64);
        }
        n_bytes += open.summary.page_bytes();
        let share = self.share(n_bytes, admission).await?;
        let progress = progress.cloned();
        let work = move |context: &Context| {
            let context = &context.reporting(progress.as_ref());
            let rows = draw.map(|draw| draw.rows(n_all, context)).transpose()?;
            let table = open.table(rows.as_deref(), context)?;
            // the share stays with the table, even if the caller has left
            Ok(WholeTable { table, share })
        };
        self.compute
            .run(*caller, Class::Large, admission, work)
            .await
    }

    /// Takes a share of the memory for datasets that are being read. The size of a request does not bound it: a dataset is named
    /// in a few bytes.
    pub(super) async fn share(&self, n_bytes: u64, admission: Admission) -> Result<Share> {
        let n_bytes = usize::try_from(n_bytes).unwrap_or(usize::MAX);
        let mut share = self.reading.share();
        match admission {
            Admission::Refuse => share.grow(n_bytes)?,
            Admission::Wait => share.grow_in_turn(n_bytes, Duration::MAX).await?,
        }
        Ok(share)
    }

    async fn open_recorded(
        &self,
        caller: &Caller,
        dataset_id: &DatasetId,
    ) -> Result<(OpenDataset, DatasetRecord)> {
        loop {
            let (record, description) = self.load(caller, dataset_id).await?;
            match source(&*self.store, dataset_id, &record.file).await {
                Ok(source) => {
                    let open = OpenDataset {
                        source,
                        limits: description.limits(),
                        options: description.options,
                        summary: description.summary,
                    };
                    return Ok((open, record));
                }
                Err(error) => {
                    self.check_replaced(caller, dataset_id, &record, error)
                        .await?
                }
            }
        }
    }
}

/// Opens the file of a dataset as a source of tables.
pub(super) async fn source<S: Store>(
    store: &S,
    dataset_id: &DatasetId,
    file: &BlobRef,
) -> Result<Source, StoreError> {
    let open = OpenFile {
        reader: store.open_blob(file).await?,
        dataset_id: dataset_id.clone(),
    };
    Ok(Source::from_reader(Arc::new(open), file.size))
}

/// The open file of a dataset.
#[derive(Debug)]
struct OpenFile<R> {
    reader: R,
    dataset_id: DatasetId,
}

impl<R: BlobReader> ReadAt for OpenFile<R> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.reader.read_at(buffer, offset);
        read.map_err(|error| io::Error::other(self.dataset_id.unreadable(error)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::compute::Compute;
    use crate::error::reason;
    use crate::memory::{Budget, Holders};
    use crate::operations::Operation;
    use crate::store::{EmbeddedStore, StoreOptions};
    use anomaly_detection::table::ColumnView;

    #[tokio::test]
    async fn readers_share_a_bounded_memory_and_outlive_their_dataset() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = EmbeddedStore::open(folder.path(), StoreOptions::default()).expect("opens");
        let caller = Caller {
            owner: store.token_hasher().anonymous(),
            deadline: None,
        };
        let compute = Compute::new(1, 4, Duration::from_secs(60)).expect("threads");
        let memory = Budget::new(Holders::Datasets, 256 << 20);
        let datasets = Datasets::new(Arc::new(store), compute, 1 << 20, Arc::clone(&memory));
        let id = DatasetId::parse("dataset_id", "one").expect("valid");
        let operation = || Operation::alone(caller.owner);
        let options = FileOptions::default();
        let upload = datasets.upload(caller, id.clone(), None, options, operation());
        let mut upload = upload.await.expect("begins");
        let content = b"a,s\n1,x\n2,y\n";
        let pushed = upload.push(0, Bytes::from_static(content));
        pushed.await.expect("fits");
        let sha256 = Sha256::digest(content).into();
        upload.finish(sha256, None).await.expect("stores");

        let read = |admission| datasets.table(&caller, &id, &[], None, admission, None);
        let first = read(Admission::Refuse).await.expect("there is room");
        let ColumnView::Numbers(a) = first.table.column(0) else {
            panic!("numbers");
        };
        assert_eq!(a.to_vec(), [1.0, 2.0]);
        let mut rest = memory.share();
        rest.grow(memory.limit() - first.share.bytes())
            .expect("nobody else holds any");
        let refused = read(Admission::Refuse).await.expect_err("there is none");
        assert_eq!(refused.reason(), reason::OVERLOADED);
        let combine = || {
            let new = DatasetId::generated(None);
            datasets.combine(caller, std::slice::from_ref(&id), new, None, operation())
        };
        let refused = combine().await.expect_err("there is none");
        assert_eq!(refused.reason(), reason::OVERLOADED);
        let (waited, ()) = tokio::join!(read(Admission::Wait), async { drop(first) });
        drop((waited.expect("there is room again"), rest));
        let combined = combine().await.expect("there is room again");
        assert_eq!(combined.record.n_rows, 2);
        assert_eq!(memory.held(), 0, "everybody is done");

        let open = datasets.open(&caller, &id).await.expect("opens");
        let deleted = datasets.delete(caller, id.clone()).await;
        assert_eq!(deleted.expect("is there").n_rows, 2);
        assert_eq!(
            open.table(None, &Context::new())
                .expect("readable")
                .n_rows(),
            2
        );
        let chunks = open.chunks(Some(1)).expect("readable");
        assert_eq!(
            chunks
                .map(|chunk| chunk.expect("readable").n_rows())
                .sum::<usize>(),
            2
        );
        let gone = datasets.open(&caller, &id).await.expect_err("deleted");
        assert_eq!(gone.reason(), reason::DATASET_NOT_FOUND);
    }
}
