//! CombineDatasets: the rows of several datasets, one after the other, as a new one.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::chunks::{chunk_rows, reader_bytes};
use super::commit::{Unreferenced, Write};
use super::union::Union;
use super::{DatasetId, Datasets, Described, OpenDataset};
use crate::caller::{Caller, RequestId};
use crate::compute::{Admission, Class};
use crate::error::{Error, Result, reason};
use crate::operations::{Operation, stage};
use crate::store::{BlobWriter as _, Store};
use anomaly_detection::context::{Context, Unit};
use anomaly_detection::table::read::{FileOptions, Format};
use anomaly_detection::table::write::ArrowWriter;

/// The bytes that go from the compute pool to the store at a time.
const CHUNK_BYTES: usize = 1 << 20;

impl<S: Store> Datasets<S> {
    /// Stores the rows of datasets, in their order, as a new dataset: an Arrow IPC stream, which keeps their types. It has the
    /// columns of all of them, matched by name; where a dataset lacks a column, its cells are missing.
    ///
    /// A retry stores nothing, but is found out only at the end: ask [`Self::made_before`] first.
    pub async fn combine(
        self: &Arc<Self>,
        caller: Caller,
        dataset_ids: &[DatasetId],
        dataset_id: DatasetId,
        request_id: Option<RequestId>,
        operation: Arc<Operation>,
    ) -> Result<Described> {
        let write = Write {
            caller,
            dataset_id,
            request_id,
        };
        let mut datasets = Vec::with_capacity(dataset_ids.len());
        for (index, id) in dataset_ids.iter().enumerate() {
            let open = self.open(&caller, id).await;
            let open = open.map_err(|error| error.at(format!("dataset_ids[{index}]")))?;
            datasets.push((id.clone(), open));
        }
        let union = Union::of(&datasets)?;

        let mut writer = self.store.begin_blob().await?;
        let file = {
            // they are read one after the other
            let page_bytes = datasets.iter().map(|(_, open)| open.summary.page_bytes());
            let page_bytes = page_bytes.max().unwrap_or(0);
            let (sender, mut chunks) = mpsc::channel(1);
            let mut share = self.reading.share();
            let progress = operation.progress().clone();
            let work = move |context: &Context| {
                // who waits for a turn holds no memory
                let n_bytes = usize::try_from(reader_bytes(page_bytes)).unwrap_or(usize::MAX);
                share.grow(n_bytes)?;
                let context = context.reporting(Some(&progress));
                join(&union, &datasets, ChunkSink::new(sender), &context)
            };
            let running = self
                .compute
                .submit(caller, Class::Large, Admission::Refuse, work)
                .await?;
            let mut n_bytes = 0;
            while let Some(chunk) = chunks.recv().await {
                let chunk: Bytes = chunk;
                n_bytes += chunk.len() as u64;
                self.check_size(n_bytes)?;
                writer.write(chunk).await?;
            }
            running.await?;
            writer.finish().await?
        };
        let unreferenced = Unreferenced::new(self, &file);
        let options = FileOptions {
            format: Some(Format::ArrowIpc),
            ..FileOptions::default()
        };
        let inspected = self.inspect(&write, &file, options, &operation).await;
        match inspected.and_then(|description| operation.commit().map(|()| description)) {
            Ok(description) => self.commit(write, file, unreferenced, description).await,
            Err(error) => {
                unreferenced.discard().await;
                Err(error)
            }
        }
    }
}

/// Writes the rows of all datasets.
fn join(
    union: &Union,
    datasets: &[(DatasetId, OpenDataset)],
    chunks: ChunkSink,
    context: &Context,
) -> Result<()> {
    let mut writer = ArrowWriter::new(chunks, union.columns())?;
    context.enter(stage::COMBINING);
    let n_rows = datasets.iter().map(|(_, dataset)| dataset.summary.n_rows());
    let n_rows = usize::try_from(n_rows.sum::<u64>()).unwrap_or(usize::MAX);
    let step = context.step(Unit::Rows, n_rows);
    for (index, (_, dataset)) in datasets.iter().enumerate() {
        let sources = union.sources(index);
        for table in dataset.chunks(Some(chunk_rows(sources.len())))? {
            context.check()?;
            let table = table?;
            let columns: Vec<_> = sources
                .iter()
                .map(|source| source.map(|column| table.column(column)))
                .collect();
            writer.write(table.n_rows(), &columns)?;
            step.advance(table.n_rows());
        }
    }
    writer.finish()
}

/// Passes what the compute pool writes to the store. At most three chunks are in memory.
struct ChunkSink {
    sender: mpsc::Sender<Bytes>,
    gathered: Vec<u8>,
}

impl ChunkSink {
    fn new(sender: mpsc::Sender<Bytes>) -> Self {
        Self {
            sender,
            gathered: Vec::with_capacity(CHUNK_BYTES),
        }
    }

    fn send(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.gathered, Vec::with_capacity(CHUNK_BYTES));
        self.sender.blocking_send(chunk.into()).map_err(|_| {
            // the receiver has an error of its own, or its caller has left
            io::Error::other(Error::new(
                reason::CANCELLED,
                "the caller left before the work was done",
            ))
        })
    }
}

impl io::Write for ChunkSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(CHUNK_BYTES - self.gathered.len());
        self.gathered.extend_from_slice(&bytes[..n]);
        if self.gathered.len() == CHUNK_BYTES {
            self.send()?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for ChunkSink {
    fn drop(&mut self) {
        // after an error nobody receives the rest
        let _ = self.send();
    }
}
