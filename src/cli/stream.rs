//! `predict --stream`: scores a file of any size in chunks, with bounded memory.
//!
//! The answer to a stream is bounded as well. So for `--out` the file is scored as several streams of at most
//! [`BATCH`], all with the version that scored the first. With engineered features, a row's score depends on the
//! rows before it, so there is only one stream.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use csv::ByteRecord;
use indicatif::ProgressBar;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

use super::connect::Client;
use super::error::{Error, Result};
use super::input::{self, Chunks, Limits};
use super::output::ScoredCsv;
use super::predict::PredictArgs;
use super::progress::progress;
use super::{summary, version};
use crate::proto::v1::predict_stream_request::Part;
use crate::proto::v1::{
    AnswerRows, CategoryEncoding, ColumnRole, GetModelRequest, ModelColumn, PredictStreamEnd,
    PredictStreamHeader, PredictStreamRequest, PredictStreamResponse, PredictionSummary, Records,
};

/// The most rows and bytes of one stream whose rows are kept until their scores arrive.
const BATCH: Limits = Limits {
    rows: 100_000,
    bytes: 64 << 20,
};

/// The most rows of one stream for `--out` with engineered features.
const MAX_ROWS: usize = 1_000_000;

/// The most rows and bytes of one message.
pub(super) const CHUNK: Limits = Limits {
    rows: usize::MAX,
    bytes: 1 << 20,
};

/// How many chunks may wait for the network.
const WAITING_CHUNKS: usize = 4;

/// A file to be scored in chunks.
pub(super) struct Upload {
    /// `None` during a stream.
    chunks: Option<Chunks>,
    path: PathBuf,
    header: PredictStreamHeader,
    row_id_column: String,
    progress: ProgressBar,
    chunk: Limits,
    batch: Limits,
}

impl Upload {
    /// Opens the file. Fails when it has no rows.
    pub(super) fn open(args: &PredictArgs) -> Result<Self> {
        let path = args.file()?;
        let (source, length) = input::open(path)?;
        let keep_records = args.out.is_some();
        // an output file needs the score of every row
        let rows = match keep_records {
            true => AnswerRows::All,
            false => AnswerRows::Anomalies,
        };
        let chunks = Chunks::of_csv(source, path, &args.file_args, &args.drop, keep_records)?
            .ok_or_else(|| {
                Error::usage(
                    "only CSV files can be sent in chunks; leave out --stream to send the file whole",
                )
            })?;
        if !chunks.has_next() {
            return Err(input::no_rows(path));
        }
        Ok(Self {
            chunks: Some(chunks),
            path: path.to_owned(),
            header: PredictStreamHeader {
                run_id: args.run.clone(),
                version: args.version.clone(),
                answer: Some(args.answer(rows)),
            },
            row_id_column: args.row_id_column(),
            progress: progress(length),
            chunk: CHUNK,
            batch: BATCH,
        })
    }

    /// The same upload in smaller chunks.
    #[cfg(test)]
    pub(super) fn in_chunks(self, chunk: Limits, batch: Limits) -> Self {
        Self {
            chunk,
            batch,
            ..self
        }
    }

    /// Scores the file as one stream.
    pub(super) async fn answer(mut self, client: &mut Client) -> Result<PredictStreamResponse> {
        self.read_model(client).await?;
        self.batch = Limits::NONE;
        let (response, _) = self.exchange(client).await?;
        self.progress.finish_and_clear();
        Ok(response)
    }

    /// Scores the file in as many streams as needed, and writes every row with its score.
    pub(super) async fn write(
        mut self,
        client: &mut Client,
        path: &Path,
    ) -> Result<PredictionSummary> {
        let needs_history = self.read_model(client).await?;
        if needs_history {
            self.batch = Limits {
                rows: MAX_ROWS,
                ..Limits::NONE
            };
        }
        let mut csv = match &self.chunks {
            Some(chunks) => ScoredCsv::create(path, chunks.header())?,
            None => return Err(input::no_rows(&self.path)),
        };
        let mut total: Option<PredictionSummary> = None;
        while self.chunks.as_ref().is_some_and(Chunks::has_next) {
            if needs_history && total.is_some() {
                return Err(Error::failed(format!(
                    "{} has more than {MAX_ROWS} rows, the most that one stream scores, and with engineered \
                     features the rows of a series cannot be split",
                    self.path.display()
                ))
                .hint("score some of the series at a time, or leave out --out"));
            }
            let (response, records) = self.exchange(client).await?;
            let answer = response.predictions.unwrap_or_default();
            csv.write_all(&records, &answer.scores, &answer.is_anomaly)?;
            let part = answer.summary.unwrap_or_default();
            // another version may become active at any time
            self.header.version = Some(version::of_number(part.version));
            total = Some(match total {
                None => part,
                Some(total) => summary::joined(total, part),
            });
        }
        csv.finish()?;
        self.progress.finish_and_clear();
        total.ok_or_else(|| input::no_rows(&self.path))
    }

    /// Leaves the types of columns that the server reads as texts to it: those of the model, and the row ids. Returns whether a row's score depends on the
    /// rows before it.
    async fn read_model(&mut self, client: &mut Client) -> Result<bool> {
        let request = GetModelRequest {
            run_id: self.header.run_id.clone(),
            version: self.header.version.clone(),
        };
        let model = client.get_model(request).await?.into_inner().model;
        let model = model.unwrap_or_default();
        let may_be_texts = |column: &&ModelColumn| {
            column.encoding() != CategoryEncoding::Unspecified
                || matches!(column.role(), ColumnRole::Time | ColumnRole::Series)
        };
        let texts: HashSet<&str> = model
            .columns
            .iter()
            .filter(may_be_texts)
            .map(|column| column.name.as_str())
            .collect();
        if let Some(chunks) = &mut self.chunks {
            chunks.leave_types_open(|name| texts.contains(name) || name == self.row_id_column);
        }
        Ok(model
            .spec
            .is_some_and(|spec| spec.feature_engineering.is_some()))
    }

    /// Sends one stream of at most a batch, and waits for its answer.
    async fn exchange(
        &mut self,
        client: &mut Client,
    ) -> Result<(PredictStreamResponse, Vec<ByteRecord>)> {
        let (to_server, from_file) = mpsc::channel(WAITING_CHUNKS);
        let (fail, mut failed) = oneshot::channel();
        let chunks = self
            .chunks
            .take()
            .ok_or_else(|| input::no_rows(&self.path))?;
        let pump = Pump {
            chunks,
            row_id_column: self.row_id_column.clone(),
            to_server,
            progress: self.progress.clone(),
            chunk: self.chunk,
            batch: self.batch,
        };
        let header = self.header.clone();
        let pumping = tokio::task::spawn_blocking(move || pump.run(header, fail));
        let answer = client.predict_stream(ReceiverStream::new(from_file)).await;
        // after an error in reading the file, the server only complains about the missing end message
        if let Ok(error) = failed.try_recv() {
            return Err(error);
        }
        // on an error the pump may still be reading, and is not waited for
        let response = answer
            .map_err(|status| Error::from(status).in_chunks())?
            .into_inner();
        let pumped = pumping.await.map_err(|error| {
            Error::failed(format!("reading {} failed: {error}", self.path.display()))
        })?;
        let (chunks, records) = pumped
            .ok_or_else(|| Error::failed("the server answered before the stream had ended"))?;
        self.chunks = Some(chunks);
        Ok((response, records))
    }
}

/// Reads the file and sends it, on a thread of its own, because reading blocks.
struct Pump {
    chunks: Chunks,
    row_id_column: String,
    to_server: mpsc::Sender<PredictStreamRequest>,
    progress: ProgressBar,
    chunk: Limits,
    batch: Limits,
}

impl Pump {
    /// Sends header, chunks and end. `None` if the server stopped receiving, or if the file could not be read; that
    /// error is sent to `fail` before the stream ends.
    fn run(
        mut self,
        header: PredictStreamHeader,
        fail: oneshot::Sender<Error>,
    ) -> Option<(Chunks, Vec<ByteRecord>)> {
        self.send(Part::Header(header))?;
        let mut records = Vec::new();
        let mut left = self.batch;
        let mut rows = 0u64;
        while left.rows > 0 && left.bytes > 0 {
            let limits = Limits {
                rows: self.chunk.rows.min(left.rows),
                bytes: self.chunk.bytes.min(left.bytes),
            };
            let mut chunk = match self.chunks.next(limits) {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(error) => {
                    // the receiver is only gone if the command is over already
                    let _ = fail.send(error);
                    return None;
                }
            };
            left.rows = left.rows.saturating_sub(chunk.rows);
            left.bytes = left.bytes.saturating_sub(chunk.content.len());
            rows += chunk.rows as u64;
            records.append(&mut chunk.records);
            let part = Records {
                row_id_column: self.row_id_column.clone(),
                ..chunk.into_records()
            };
            self.send(Part::Records(part))?;
            self.progress.set_position(self.chunks.position());
        }
        self.send(Part::End(PredictStreamEnd { rows: Some(rows) }))?;
        Some((self.chunks, records))
    }

    fn send(&self, part: Part) -> Option<()> {
        self.to_server
            .blocking_send(PredictStreamRequest { part: Some(part) })
            .ok()
    }
}
