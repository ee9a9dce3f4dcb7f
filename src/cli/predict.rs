//! `predict`: scores for the rows of a CSV file, in one request or as a stream.

use std::collections::HashMap;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::connect::{Client, Connection};
use super::error::Result;
use super::input::{self, Chunks, Limits};
use super::output::ScoredCsv;
use super::render::json;
use super::render::prediction::{self, Answer};
use super::{Format, stream};
use crate::proto::v1::{Detail, PredictRequest, PredictResponse, PredictionSummary, RowPrediction};

/// How many of the input's first columns are shown beside a row.
const SHOWN_COLUMNS: usize = 4;

/// The arguments of `predict`.
#[derive(Debug, clap::Args)]
pub(super) struct PredictArgs {
    /// The run to score with
    pub(super) run: String,
    /// The CSV file to score, with a header line; - for the standard input
    pub(super) file: PathBuf,
    /// Send the file in pieces, whatever its size
    ///
    /// Without --out the answer holds at most 100000 rows, and the summary all. With --out the file is scored as several
    /// streams of at most 100000 rows each, by one version of the run, so that every row gets its score.
    #[arg(long)]
    stream: bool,
    /// Write a CSV file with the columns of the input, and score and is_anomaly (1 or 0)
    #[arg(long, value_name = "CSV", conflicts_with = "detail")]
    pub(super) out: Option<PathBuf>,
    /// How much to answer of each row; without it, scores, and with --stream the anomalies
    #[arg(long, value_enum)]
    detail: Option<DetailName>,
    /// The version to score with; without it, the active one
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(super) version: u64,
    /// How many of the most anomalous rows to show
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// A column to leave out of what is sent, such as a text column; may be repeated
    #[arg(long, value_name = "COLUMN")]
    pub(super) drop: Vec<String>,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

/// How much to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum DetailName {
    /// The summary alone
    Summary,
    /// The score of every row
    Scores,
    /// Only the rows that are anomalies
    Anomalies,
    /// Every row, with the detector's own numbers
    Full,
}

impl PredictArgs {
    pub(super) async fn run(&self, out: &mut dyn Write) -> Result<()> {
        // what can be wrong with the file is found before the server is asked
        if self.stream {
            let source = stream::Upload::open(self)?;
            let client = &mut self.connection.client().await?;
            return self.streamed(client, source, out).await;
        }
        let content = input::read(&self.file)?;
        let request = self.request(&content)?;
        let client = &mut self.connection.client().await?;
        self.whole(client, request, &content, out).await
    }

    pub(super) fn detail(&self, default: Detail) -> Detail {
        match self.detail {
            None => default,
            Some(DetailName::Summary) => Detail::Summary,
            Some(DetailName::Scores) => Detail::Scores,
            Some(DetailName::Anomalies) => Detail::Anomalies,
            Some(DetailName::Full) => Detail::Full,
        }
    }

    fn request(&self, content: &Bytes) -> Result<PredictRequest> {
        Ok(PredictRequest {
            run_id: self.run.clone(),
            records: Some(input::records(content, &self.file, &self.drop)?),
            detail: self.detail(Detail::Scores).into(),
            version: self.version,
        })
    }

    async fn whole(
        &self,
        client: &mut Client,
        request: PredictRequest,
        content: &Bytes,
        out: &mut dyn Write,
    ) -> Result<()> {
        if let Some(path) = &self.out {
            let mut rows = self.rows(content)?;
            let mut csv = ScoredCsv::create(path, rows.header())?;
            let response = client.predict(request).await?.into_inner();
            let records = match rows.next(Limits::NONE)? {
                Some(chunk) => chunk.records,
                None => return Err(input::no_rows(&self.file)),
            };
            csv.write_all(&records, &response.scores, &response.is_anomaly)?;
            csv.finish()?;
            return self.show_written(path, response.summary.unwrap_or_default(), out);
        }
        let response = client.predict(request).await?.into_inner();
        if self.format.json {
            return json::write(out, "PredictResponse", &response);
        }
        self.show(&response.into(), Some(content), out)
    }

    async fn streamed(
        &self,
        client: &mut Client,
        source: stream::Upload,
        out: &mut dyn Write,
    ) -> Result<()> {
        if let Some(path) = &self.out {
            let summary = source.write(client, path).await?;
            return self.show_written(path, summary, out);
        }
        let response = source
            .answer(client, self.detail(Detail::Anomalies))
            .await?;
        if self.format.json {
            return json::write(out, "PredictStreamResponse", &response);
        }
        self.show(&response.into(), None, out)
    }

    fn show_written(
        &self,
        path: &Path,
        summary: PredictionSummary,
        out: &mut dyn Write,
    ) -> Result<()> {
        if self.format.json {
            let response = PredictResponse {
                summary: Some(summary),
                ..Default::default()
            };
            return json::write(out, "PredictResponse", &response);
        }
        prediction::write_summary(out, &summary)?;
        writeln!(out, "written to {}", path.display())?;
        Ok(())
    }

    fn show(&self, answer: &Answer, content: Option<&Bytes>, out: &mut dyn Write) -> Result<()> {
        prediction::write_summary(out, &answer.summary)?;
        let top = answer.top(self.top);
        if top.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            "\nthe most anomalous rows, counted from 0 below the header:"
        )?;
        let (header, cells) = match content {
            Some(content) => self.cells(content, &top)?,
            None => Default::default(),
        };
        prediction::write_rows(out, &top, &header, |row| {
            cells.get(&row).cloned().unwrap_or_default()
        })?;
        if answer.truncated {
            writeln!(
                out,
                "the answer was cut, and only its rows were looked at; --out gives every row"
            )?;
        }
        Ok(())
    }

    /// The first columns of some rows of the input.
    fn cells(&self, content: &Bytes, rows: &[RowPrediction]) -> Result<(Vec<String>, CellsOfRow)> {
        let text = |record: &csv::ByteRecord| -> Vec<String> {
            record
                .iter()
                .take(SHOWN_COLUMNS)
                .map(|cell| String::from_utf8_lossy(cell).into_owned())
                .collect()
        };
        let mut cells: CellsOfRow = rows
            .iter()
            .filter_map(|row| row.row)
            .map(|row| (row, Vec::new()))
            .collect();
        let mut chunks = self.rows(content)?;
        let header = text(chunks.header());
        let mut index = 0;
        while let Some(chunk) = chunks.next(stream::CHUNK)? {
            for record in &chunk.records {
                if let Some(cells) = cells.get_mut(&index) {
                    *cells = text(record);
                }
                index += 1;
            }
        }
        Ok((header, cells))
    }

    /// The rows with all their columns.
    fn rows(&self, content: &Bytes) -> Result<Chunks> {
        Chunks::new(
            Box::new(Cursor::new(content.clone())),
            &self.file,
            &[],
            true,
        )
    }
}

/// The shown cells of some rows, by the index of the row.
type CellsOfRow = HashMap<u64, Vec<String>>;

#[cfg(test)]
#[path = "predict_tests.rs"]
mod tests;
