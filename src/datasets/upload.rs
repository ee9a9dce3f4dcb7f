//! UploadDataset: a file that comes chunk by chunk, and is looked at once it is there.

use std::sync::Arc;

use bytes::Bytes;

use super::commit::{Loose, Write};
use super::inspect::inspect;
use super::open::source;
use super::{DatasetId, Datasets, Described};
use crate::caller::{Caller, RequestId};
use crate::compute::Admission;
use crate::error::{Error, Kind, Result, reason};
use crate::store::{BlobRef, BlobWriter as _, Store};
use anomaly_detection::table::read::FileOptions;

/// How an upload begins.
pub enum Started<S: Store> {
    /// Its bytes may come.
    Upload(Box<Upload<S>>),
    /// A retry of an upload that was stored before.
    MadeBefore(Box<Described>),
}

/// An upload that is under way. Dropping it leaves nothing behind.
pub struct Upload<S: Store> {
    datasets: Arc<Datasets<S>>,
    write: Write,
    options: FileOptions,
    writer: S::BlobWriter,
    n_bytes: u64,
}

impl<S: Store> Datasets<S> {
    /// Begins an upload. Fails when there is a dataset of this id that another request made.
    pub async fn upload(
        self: &Arc<Self>,
        caller: Caller,
        dataset_id: Option<DatasetId>,
        request_id: Option<RequestId>,
        options: FileOptions,
    ) -> Result<Started<S>> {
        let write = Write::new(caller, dataset_id, request_id);
        if let Some(described) = self.made_before(&write).await? {
            return Ok(Started::MadeBefore(Box::new(described)));
        }
        Ok(Started::Upload(Box::new(Upload {
            datasets: Arc::clone(self),
            write,
            options,
            writer: self.store.begin_blob().await?,
            n_bytes: 0,
        })))
    }

    /// Finds out what is in a blob that was just written.
    pub(super) async fn inspect(
        &self,
        caller: &Caller,
        blob: &BlobRef,
        options: FileOptions,
    ) -> Result<super::Description> {
        let source = source(&*self.store, blob).await?;
        let limits = self.limits();
        let _turn = self.scan_turn().await;
        let work = move |context: &_| inspect(&source, options, limits, context);
        self.compute
            .run(Admission::Wait, caller.deadline, work)
            .await
    }

    /// Waits until few enough other files are scanned.
    pub(super) async fn scan_turn(&self) -> Option<tokio::sync::OwnedSemaphorePermit> {
        // it is never closed
        Arc::clone(&self.scans).acquire_owned().await.ok()
    }

    /// Fails when so many bytes are more than a dataset may have.
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
    /// How many bytes have come.
    pub fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// Takes the next bytes of the file, which begin at this offset of it.
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
        self.writer.write(bytes).await?;
        Ok(())
    }

    /// Ends the file, of which these are the SHA-256 and, where it is known, the size; looks at what is in it and stores it.
    pub async fn finish(self, sha256: [u8; 32], size: Option<u64>) -> Result<Described> {
        let Self {
            datasets,
            write,
            options,
            writer,
            n_bytes,
        } = self;
        if let Some(size) = size.filter(|size| *size != n_bytes) {
            return Err(Error::new(
                reason::INVALID_STREAM,
                format!("the end message says that {size} bytes were sent, but {n_bytes} arrived"),
            )
            .at("end.size_bytes"));
        }
        let file = writer.finish().await?;
        let loose = Loose::new(&datasets, &file);
        let outcome = if file.sha256 == sha256 {
            datasets.inspect(&write.caller, &file, options).await
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
            Ok(description) => datasets.commit(write, file, loose, description).await,
            Err(error) => {
                loose.discard().await;
                Err(in_chunks(error))
            }
        }
    }
}

/// What is wrong with the content of a file is wrong with what the chunks hold.
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
