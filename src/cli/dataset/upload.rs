//! `dataset upload`: a file of any size, in chunks, with its SHA-256 at the end.

use std::io::{Read, Write};
use std::path::PathBuf;

use bytes::Bytes;
use indicatif::ProgressBar;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

use crate::cli::connect::{self, Connection, DatasetClient, Transport};
use crate::cli::error::{Error, Result, answered};
use crate::cli::input::{self, FileArgs, Source};
use crate::cli::long_call::{LongCall, Target};
use crate::cli::progress::{progress, restart};
use crate::cli::render::{dataset, json};
use crate::cli::train::WriteArgs;
use crate::proto::v1::upload_dataset_request::Part;
use crate::proto::v1::{
    UploadDatasetChunk, UploadDatasetEnd, UploadDatasetHeader, UploadDatasetRequest,
    UploadDatasetResponse,
};

/// The bytes of file content per message.
const CHUNK_BYTES: u64 = 1 << 20;

/// How many chunks may wait for the network. Only these and the one being read are in memory.
const WAITING_CHUNKS: usize = 4;

/// The size of a file from which on a progress bar is shown.
const LARGE_BYTES: u64 = 16 << 20;

/// The arguments of `dataset upload`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct UploadArgs {
    /// The file to send, of any size: CSV, JSON, JSON Lines, Parquet or Arrow IPC; - for the standard input
    file: PathBuf,
    /// The id of the new dataset, which must be free; without it, one is made up
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    #[command(flatten)]
    common: WriteArgs,
    #[command(flatten)]
    file_args: FileArgs,
    #[command(flatten)]
    pub(super) connection: Connection,
}

/// An upload of an open file.
pub(super) struct Upload {
    header: UploadDatasetHeader,
    source: Source,
    path: PathBuf,
    /// The number of bytes; `None` if it is not a file, which can be read only once.
    length: Option<u64>,
    progress: ProgressBar,
    chunk_bytes: u64,
}

impl UploadArgs {
    /// Opens the file.
    pub(super) fn open(&self) -> Result<Upload> {
        self.open_with(|length| match length {
            Some(length) if length < LARGE_BYTES => ProgressBar::hidden(),
            length => progress(length),
        })
    }

    /// Opens the file, with a bar for its length.
    fn open_with(&self, bar: impl FnOnce(Option<u64>) -> ProgressBar) -> Result<Upload> {
        let (source, length) = input::open(&self.file)?;
        Ok(Upload {
            header: UploadDatasetHeader {
                dataset_id: self.id.clone().unwrap_or_default(),
                format: self.file_args.format(),
                csv: self.file_args.csv(),
                request_id: self.common.request_id.clone().unwrap_or_default(),
            },
            source,
            path: self.file.clone(),
            length,
            progress: bar(length),
            chunk_bytes: CHUNK_BYTES,
        })
    }

    pub(super) async fn run(
        &self,
        transport: Transport,
        mut upload: Upload,
        out: &mut dyn Write,
    ) -> Result<()> {
        let target = Target::Dataset(upload.header.dataset_id.clone());
        let request_id = &mut upload.header.request_id;
        let call = LongCall::new(&self.connection, transport.clone(), target, request_id);
        let mut call = call.sending(upload.progress.clone());
        if upload.length.is_none() {
            call = call.once();
        }
        let mut client = connect::dataset_client(transport);
        let (header, bar) = (upload.header.clone(), upload.progress.clone());
        let mut first = Some(upload);
        let send = async || {
            let upload = match first.take() {
                Some(upload) => upload,
                // the file is read from its beginning; if all of it had arrived, the server answers before that
                None => Upload {
                    header: header.clone(),
                    ..self.open_with(|length| {
                        restart(&bar, length.unwrap_or(0));
                        bar.clone()
                    })?
                },
            };
            upload.send(&mut client).await
        };
        let response = call.make(send).await?;
        if self.common.format.json {
            return json::write(out, "UploadDatasetResponse", &response);
        }
        dataset::write_stored(out, answered(response.dataset.as_ref(), "a dataset")?)
    }
}

impl Upload {
    /// The same upload from another source, in smaller chunks.
    #[cfg(test)]
    pub(super) fn in_chunks(self, source: Source, chunk_bytes: u64) -> Self {
        Self {
            source,
            chunk_bytes,
            ..self
        }
    }

    /// Sends the file, and waits until it is stored.
    async fn send(self, client: &mut DatasetClient) -> Result<UploadDatasetResponse> {
        let (to_server, from_file) = mpsc::channel(WAITING_CHUNKS);
        let (fail, mut failed) = oneshot::channel();
        // reading blocks. If the server answers early, the thread is not waited for: its source may never end
        tokio::task::spawn_blocking(move || self.pump(&to_server, fail));
        let answer = client.upload_dataset(ReceiverStream::new(from_file)).await;
        // after an error in reading the file, the server only complains about the missing end message
        if let Ok(error) = failed.try_recv() {
            return Err(error);
        }
        Ok(answer?.into_inner())
    }

    /// Sends header, chunks and end. Stops early when the server stops receiving, or when the file cannot be read; that
    /// error is sent to `fail` before the stream ends.
    fn pump(
        mut self,
        to_server: &mpsc::Sender<UploadDatasetRequest>,
        fail: oneshot::Sender<Error>,
    ) -> Option<()> {
        let send = |part| {
            let message = UploadDatasetRequest { part: Some(part) };
            to_server.blocking_send(message).ok()
        };
        send(Part::Header(std::mem::take(&mut self.header)))?;
        let mut hash = Sha256::new();
        let mut offset = 0;
        loop {
            let data = match self.next_chunk() {
                Ok(data) if data.is_empty() => break,
                Ok(data) => data,
                Err(error) => {
                    // the receiver is only gone if the command is over already
                    let _ = fail.send(input::cannot_read(&self.path, &error));
                    return None;
                }
            };
            hash.update(&data);
            let length = data.len() as u64;
            send(Part::Chunk(UploadDatasetChunk { offset, data }))?;
            offset += length;
            self.progress.set_position(offset);
        }
        send(Part::End(UploadDatasetEnd {
            sha256: hash.finalize().to_vec().into(),
            size_bytes: Some(offset),
        }))
    }

    /// The next bytes of the file; empty at its end.
    fn next_chunk(&mut self) -> std::io::Result<Bytes> {
        let mut data = Vec::with_capacity(self.chunk_bytes as usize);
        let mut chunk = self.source.by_ref().take(self.chunk_bytes);
        chunk.read_to_end(&mut data)?;
        Ok(data.into())
    }
}
