//! UploadDataset: a file that arrives chunk by chunk and is then inspected.

use std::sync::Arc;

use bytes::Bytes;

use super::commit::{Unreferenced, Write};
use super::inspect::{describe, scan};
use super::open::source;
use super::{DatasetId, Datasets, Described};
use crate::caller::{Caller, RequestId};
use crate::compute::{Admission, Class};
use crate::error::{Error, Kind, Result, reason};
use crate::operations::{Operation, stage};
use crate::store::{BlobRef, BlobWriter as _, Store};
use anomaly_detection::context::{Context, Step, Unit};
use anomaly_detection::table::read::FileOptions;

/// An upload that is under way. Dropping it leaves nothing behind.
pub struct Upload<S: Store> {
    datasets: Arc<Datasets<S>>,
    write: Write,
    options: FileOptions,
    writer: S::BlobWriter,
    n_bytes: u64,
    operation: Arc<Operation>,
    /// Counts the bytes that have arrived.
    received: Step,
}

impl<S: Store> Datasets<S> {
    /// Begins an upload. A retry stores nothing, but is found out only at the end: ask [`Self::made_before`] first.
    pub async fn upload(
        self: &Arc<Self>,
        caller: Caller,
        dataset_id: DatasetId,
        request_id: Option<RequestId>,
        options: FileOptions,
        operation: Arc<Operation>,
    ) -> Result<Upload<S>> {
        let write = Write {
            caller,
            dataset_id,
            request_id,
        };
        let writer = self.store.begin_blob().await?;
        operation.progress().enter(stage::RECEIVING);
        Ok(Upload {
            datasets: Arc::clone(self),
            write,
            options,
            writer,
            n_bytes: 0,
            received: operation.progress().step(Unit::Bytes, None),
            operation,
        })
    }

    /// Inspects a file that was just written. Only a scan tells how much memory the chunks of it take.
    pub(super) async fn inspect(
        &self,
        write: &Write,
        file: &BlobRef,
        options: FileOptions,
        operation: &Operation,
    ) -> Result<super::Description> {
        let source = source(&*self.store, &write.dataset_id, file).await;
        let source = source.map_err(|error| write.dataset_id.unreadable(error))?;
        let limits = self.limits();
        let progress = operation.progress();
        progress.enter(stage::WAITING);
        let scan = {
            let (source, options, progress) = (source.clone(), options.clone(), progress.clone());
            move |context: &Context| {
                let context = context.reporting(Some(&progress));
                scan(&source, &options, limits, &context)
            }
        };
        let scan = self
            .compute
            .run(write.caller, Class::Large, Admission::Wait, scan);
        let summary = scan.await?;
        progress.enter(stage::WAITING);
        let share = self.reader_share(summary.page_bytes(), Admission::Wait);
        let share = share.await?;
        let progress = progress.clone();
        let describe = move |context: &Context| {
            // stays until the last chunk is dropped, even if the caller has left
            let _share = share;
            let context = context.reporting(Some(&progress));
            describe(&source, options, limits, summary, &context)
        };
        self.compute
            .run(write.caller, Class::Large, Admission::Wait, describe)
            .await
    }

    /// Fails if a dataset may not have so many bytes.
    pub(super) fn check_size(&self, n_bytes: u64) -> Result<()> {
        if n_bytes <= self.max_bytes {
            return Ok(());
        }
        Err(Error::new(
            reason::DATASET_TOO_LARGE,
            format!(
                "the dataset has more than {} bytes, the most that the server stores of one (`max_dataset_bytes`); divide it, or \
                 compress it",
                self.max_bytes
            ),
        ))
    }
}

impl<S: Store> Upload<S> {
    /// How many bytes have arrived.
    pub fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// Adds the next bytes of the file, which begin at `offset`.
    pub async fn push(&mut self, offset: u64, bytes: Bytes) -> Result<()> {
        if offset != self.n_bytes {
            return Err(Error::new(
                reason::INVALID_STREAM,
                format!(
                    "a chunk begins at offset {offset}, but {} bytes came before it; send chunks in order and without gaps",
                    self.n_bytes
                ),
            )
            .at("chunk.offset"));
        }
        self.n_bytes = self.n_bytes.saturating_add(bytes.len() as u64);
        self.datasets.check_size(self.n_bytes)?;
        let n_bytes = bytes.len();
        self.writer.write(bytes).await?;
        self.received.advance(n_bytes);
        Ok(())
    }

    /// Ends the upload: checks the SHA-256 and, if it is given, the size, then inspects and stores the file.
    pub async fn finish(self, sha256: [u8; 32], size: Option<u64>) -> Result<Described> {
        let Self {
            datasets,
            write,
            options,
            writer,
            n_bytes,
            operation,
            received: _,
        } = self;
        if let Some(size) = size.filter(|size| *size != n_bytes) {
            return Err(Error::new(
                reason::INVALID_STREAM,
                format!("the end message says that {size} bytes were sent, but {n_bytes} arrived"),
            )
            .at("end.size_bytes"));
        }
        let file = writer.finish().await?;
        let unreferenced = Unreferenced::new(&datasets, &file);
        let outcome = if file.sha256 == sha256 {
            let inspected = datasets.inspect(&write, &file, options, &operation).await;
            inspected.and_then(|description| operation.commit().map(|()| description))
        } else {
            Err(Error::new(
                reason::CHECKSUM_MISMATCH,
                format!(
                    "the {n_bytes} bytes that arrived have the SHA-256 {}, not {} as the end message says; nothing was stored, send \
                     them again",
                    hex(&file.sha256),
                    hex(&sha256)
                ),
            ))
        };
        match outcome {
            Ok(description) => {
                datasets
                    .commit(write, file, unreferenced, description)
                    .await
            }
            Err(error) => {
                unreferenced.discard().await;
                Err(in_chunks(error))
            }
        }
    }
}

/// Puts an error in the content of a file at the field of the chunks, or of the CSV options.
fn in_chunks(error: Error) -> Error {
    match error.kind() {
        Kind::InvalidArgument if error.reason() != reason::CHECKSUM_MISMATCH => {
            match error.field_path() {
                Some(_) => error.within("header.csv"),
                None => error.at("chunk.data"),
            }
        }
        _ => error,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
