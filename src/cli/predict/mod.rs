//! `predict`: scores for the rows of a file, in one request or as a stream, and for those of a dataset.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use csv::ByteRecord;

use super::connect::{Client, Connection};
use super::error::{Error, Result};
use super::input::{self, FileArgs, Limits, Whole};
use super::output::ScoredCsv;
use super::render::json;
use super::render::prediction::{self, Answer};
use super::{Format, stream};
use crate::proto::v1::{
    Detail, GetModelRequest, PredictRequest, PredictResponse, PredictionSummary, RowPrediction,
};

mod series;

/// How many of the input's first columns are shown beside a row.
const SHOWN_COLUMNS: usize = 4;

/// The arguments of `predict`.
#[derive(Debug, clap::Args)]
pub(super) struct PredictArgs {
    /// The run to score with
    pub(super) run: String,
    /// The file to score: CSV, JSON, JSON Lines, Parquet or Arrow IPC; - for the standard input. Left out when a dataset is named
    file: Option<PathBuf>,
    /// The dataset to score, in the place of a file
    #[arg(long, value_name = "ID", conflicts_with_all = ["file", "FileArgs", "stream", "plot", "drop"])]
    dataset: Option<String>,
    /// Send a CSV file in pieces, whatever its size
    ///
    /// Without --out the answer holds at most 100000 rows, and the summary all. With --out the file is scored as several
    /// streams of at most 100000 rows each, by one version of the run, so that every row gets its score. With engineered
    /// features, a score depends on the rows before: then it is one stream, of at most 1000000 rows.
    #[arg(long)]
    stream: bool,
    /// Draw a column of numbers over the rows of a CSV file, with the flagged ones, and list the segments that they form
    #[arg(long, value_name = "COLUMN", conflicts_with_all = ["stream", "out", "detail", "json"])]
    plot: Option<String>,
    /// With --plot: how many rows that are not flagged may lie between two of one segment; without it, none
    #[arg(
        long,
        value_name = "ROWS",
        default_value_t = 0,
        hide_default_value = true,
        requires = "plot"
    )]
    gap: usize,
    /// Write a CSV file with the columns of the input, and score and is_anomaly (1 or 0); of a dataset or a file that is not
    /// CSV, with the number of the row, from 0
    #[arg(long, value_name = "CSV", conflicts_with = "detail")]
    pub(super) out: Option<PathBuf>,
    /// How much to answer of each row; without it, scores, and with --stream the anomalies
    #[arg(long, value_enum)]
    detail: Option<DetailName>,
    /// The version to score with; without it, the active one
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(super) version: u64,
    /// How many of the most anomalous rows, or segments, to show
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// A column of a CSV file to leave out of what is sent, which the model does not know; may be repeated
    #[arg(long, value_name = "COLUMN")]
    pub(super) drop: Vec<String>,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    pub(super) file_args: FileArgs,
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
        let (request, whole) = self.read()?;
        if let (Some(column), Some(whole)) = (&self.plot, &whole) {
            let plotted = series::Column::read(whole, column)?;
            let client = &mut self.connection.client().await?;
            return self.plotted(client, request, plotted, out).await;
        }
        let client = &mut self.connection.client().await?;
        self.whole(client, request, whole.as_ref(), out).await
    }

    /// The file to score.
    pub(super) fn file(&self) -> Result<&Path> {
        self.file.as_deref().ok_or_else(|| {
            Error::usage(
                "name the file to score, or a dataset: anomalyd predict RUN FILE, or anomalyd predict RUN --dataset ID",
            )
        })
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

    /// What to ask, with the file where it is not a dataset that is scored.
    fn read(&self) -> Result<(PredictRequest, Option<Whole>)> {
        let (records, whole) = match &self.dataset {
            Some(id) => (input::dataset_records(id), None),
            None => {
                let whole = Whole::read(self.file()?, &self.file_args)?;
                (whole.records(&self.drop)?, Some(whole))
            }
        };
        let request = PredictRequest {
            run_id: self.run.clone(),
            records: Some(records),
            detail: self.detail(Detail::Scores).into(),
            version: self.version,
        };
        Ok((request, whole))
    }

    async fn whole(
        &self,
        client: &mut Client,
        request: PredictRequest,
        whole: Option<&Whole>,
        out: &mut dyn Write,
    ) -> Result<()> {
        if let Some(path) = &self.out {
            let mut rows = match whole {
                Some(whole) => whole.rows()?,
                None => None,
            };
            let numbers = ByteRecord::from(vec!["row"]);
            let header = rows.as_ref().map_or(&numbers, |rows| rows.header());
            let mut csv = ScoredCsv::create(path, header)?;
            let response = client.predict(request).await?.into_inner();
            let records = match rows.as_mut().map(|rows| rows.next(Limits::NONE)) {
                Some(chunk) => match chunk? {
                    Some(chunk) => chunk.records,
                    None => return Err(input::no_rows(self.file()?)),
                },
                None => (0..response.scores.len())
                    .map(|row| ByteRecord::from(vec![row.to_string()]))
                    .collect(),
            };
            csv.write_all(&records, &response.scores, &response.is_anomaly)?;
            csv.finish()?;
            return self.show_written(path, response.summary.unwrap_or_default(), out);
        }
        let response = client.predict(request).await?.into_inner();
        if self.format.json {
            return json::write(out, "PredictResponse", &response);
        }
        self.show(&response.into(), whole, out)
    }

    async fn plotted(
        &self,
        client: &mut Client,
        request: PredictRequest,
        column: series::Column,
        out: &mut dyn Write,
    ) -> Result<()> {
        let answer: Answer = client.predict(request).await?.into_inner().into();
        let model = GetModelRequest {
            run_id: self.run.clone(),
            version: answer.summary.version,
        };
        let model = client.get_model(model).await?.into_inner().model;
        let columns = model.unwrap_or_default().columns;
        prediction::write_summary(out, &answer.summary)?;
        series::write(out, &column, &columns, &answer, self.gap, self.top)
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

    fn show(&self, answer: &Answer, whole: Option<&Whole>, out: &mut dyn Write) -> Result<()> {
        prediction::write_summary(out, &answer.summary)?;
        let top = answer.top(self.top);
        if top.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nthe most anomalous rows, counted from 0:")?;
        let (header, cells) = match whole {
            Some(whole) => cells(whole, &top)?,
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
}

/// The first columns of some rows of the input, where it is CSV.
fn cells(whole: &Whole, rows: &[RowPrediction]) -> Result<(Vec<String>, CellsOfRow)> {
    let text = |record: &ByteRecord| -> Vec<String> {
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
    let Some(mut chunks) = whole.rows()? else {
        return Ok(Default::default());
    };
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

/// The shown cells of some rows, by the index of the row.
type CellsOfRow = HashMap<u64, Vec<String>>;

#[cfg(test)]
mod tests;
