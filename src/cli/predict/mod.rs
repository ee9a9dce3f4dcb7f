//! `predict`: scores the rows of a file, in one request or as a stream, or those of a dataset, page by page.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use csv::ByteRecord;

use super::connect::{Client, Connection};
use super::error::{Error, Result};
use super::input::{self, Chunks, FileArgs, Limits, Whole};
use super::output::ScoredCsv;
use super::render::{json, prediction};
use super::{Format, descriptors, stream, version};
use crate::proto::v1::{
    AnswerOptions, AnswerRows, Detail, GetModelRequest, Model, PredictRequest, PredictResponse,
    PredictionSummary, Predictions, Records, RowPrediction, VersionSelector,
};

mod pages;
mod series;

/// The requested limit of answers: the server's maximum, since this client accepts any size.
const MAX_ANSWER_BYTES: u64 = 64 << 20;

/// How many of the input's columns are shown with a row.
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
    /// Send a CSV file in chunks, whatever its size
    ///
    /// Without --out it is one stream, whose answer lists the anomalies. With --out the file is scored as several streams of at
    /// most 100000 rows each, by one version of the run, so that every row gets its score. With engineered features, a score
    /// depends on the rows before: then it is one stream, of at most 1000000 rows.
    #[arg(long)]
    stream: bool,
    /// Draw a column of numbers over the rows of a CSV file, with the flagged ones, and list the segments that they form
    #[arg(long, value_name = "COLUMN", conflicts_with_all = ["stream", "out", "rows", "detail", "json"])]
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
    /// CSV, with the number of the row, from 0, and its id, where rows have ids
    #[arg(long, value_name = "CSV", conflicts_with_all = ["rows", "detail"])]
    pub(super) out: Option<PathBuf>,
    /// Which rows to list; without it, all, and with --stream the anomalies
    #[arg(long, value_name = "ROWS", value_parser = descriptors::word_parser("AnswerRows", &[]))]
    rows: Option<i32>,
    /// In what detail to list each row; without it, its score
    #[arg(long, value_name = "DETAIL", value_parser = descriptors::word_parser("Detail", &[]))]
    detail: Option<i32>,
    /// A column of texts or whole numbers that holds an id of each row, which the answer shows with it. It is not a
    /// feature
    #[arg(long, value_name = "COLUMN")]
    row_id_column: Option<String>,
    /// With --dataset: the row to begin with, from 0, where an earlier command broke off
    #[arg(
        long,
        value_name = "ROW",
        default_value_t = 0,
        hide_default_value = true,
        requires = "dataset",
        conflicts_with = "file"
    )]
    first_row: u64,
    /// The version to score with, by its number or alias; without it, the active one
    #[arg(long, value_name = "N|ALIAS", value_parser = version::selector)]
    pub(super) version: Option<VersionSelector>,
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

impl PredictArgs {
    pub(super) async fn run(&self, out: &mut dyn Write) -> Result<()> {
        self.check_out()?;
        if let Some(id) = &self.dataset {
            let target = self.target()?;
            let client = &mut self.connection.client().await?;
            return self.paged(client, id, target, out).await;
        }
        // problems with the file are found before a call is made
        if self.stream {
            let source = stream::Upload::open(self)?;
            let client = &mut self.connection.client().await?;
            return self.streamed(client, source, out).await;
        }
        let (request, whole) = self.read()?;
        if let Some(column) = &self.plot {
            let plotted = series::Plotted::read(&whole, column)?;
            let client = &mut self.connection.client().await?;
            return self.plotted(client, request, plotted, out).await;
        }
        let client = &mut self.connection.client().await?;
        self.whole(client, request, &whole, out).await
    }

    /// Fails if --out names the file to score. One that does not exist is reported where it is opened.
    fn check_out(&self) -> Result<()> {
        let (Some(file), Some(out)) = (&self.file, &self.out) else {
            return Ok(());
        };
        match (file.canonicalize(), out.canonicalize()) {
            (Ok(input), Ok(output)) if input == output && input.is_file() => {
                Err(Error::usage(format!(
                    "--out would overwrite the file to score, {}; give another file",
                    input::name(file)
                )))
            }
            _ => Ok(()),
        }
    }

    /// The file to score.
    pub(super) fn file(&self) -> Result<&Path> {
        self.file.as_deref().ok_or_else(|| {
            Error::usage(
                "name the file to score, or a dataset: anomalyd predict RUN FILE, or anomalyd predict RUN --dataset ID",
            )
        })
    }

    /// The options of an answer that lists these rows by default.
    pub(super) fn answer(&self, rows: AnswerRows) -> AnswerOptions {
        AnswerOptions {
            rows: self.rows.unwrap_or(rows.into()),
            detail: self.detail.unwrap_or(Detail::Score.into()),
            max_bytes: Some(MAX_ANSWER_BYTES),
        }
    }

    /// The column of row ids; empty for none.
    pub(super) fn row_id_column(&self) -> String {
        self.row_id_column.clone().unwrap_or_default()
    }

    /// The request, and the file that it contains.
    fn read(&self) -> Result<(PredictRequest, Whole)> {
        let whole = Whole::read(self.file()?, &self.file_args)?;
        let records = Records {
            row_id_column: self.row_id_column(),
            ..whole.records(&self.drop)?
        };
        let request = PredictRequest {
            run_id: self.run.clone(),
            version: self.version.clone(),
            records: Some(records),
            answer: Some(self.answer(AnswerRows::All)),
        };
        Ok((request, whole))
    }

    async fn whole(
        &self,
        client: &mut Client,
        request: PredictRequest,
        whole: &Whole,
        out: &mut dyn Write,
    ) -> Result<()> {
        if let Some(path) = &self.out {
            let mut rows = whole.rows()?;
            let numbers = self.numbers_header();
            let header = rows.as_ref().map_or(&numbers, |rows| rows.header());
            let mut csv = ScoredCsv::create(path, header)?;
            let response = client.predict(request).await?.into_inner();
            let answer = response.predictions.unwrap_or_default();
            match rows.as_mut().map(|rows| rows.next(Limits::NONE)) {
                Some(chunk) => match chunk? {
                    Some(chunk) => {
                        csv.write_all(&chunk.records, &answer.scores, &answer.is_anomaly)?
                    }
                    None => return Err(input::no_rows(self.file()?)),
                },
                None => self.write_numbered(&mut csv, &answer, 0)?,
            }
            csv.finish()?;
            return self.show_written(path, answer.summary.unwrap_or_default(), out);
        }
        let response = client.predict(request).await?.into_inner();
        if self.format.json {
            return json::write(out, "PredictResponse", &response);
        }
        let answer = response.predictions.unwrap_or_default();
        self.show(client, &answer, whole.rows()?, out).await
    }

    async fn plotted(
        &self,
        client: &mut Client,
        request: PredictRequest,
        column: series::Plotted,
        out: &mut dyn Write,
    ) -> Result<()> {
        let response = client.predict(request).await?.into_inner();
        let answer = response.predictions.unwrap_or_default();
        let summary = answer.summary.clone().unwrap_or_default();
        let columns = self.model(client, summary.version).await?.columns;
        prediction::write_summary(out, &summary)?;
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
        let response = source.answer(client).await?;
        if self.format.json {
            return json::write(out, "PredictStreamResponse", &response);
        }
        let answer = response.predictions.unwrap_or_default();
        self.show(client, &answer, self.read_again()?, out).await
    }

    /// The rows of a streamed file once more, of which none were kept; `None` for the standard input.
    fn read_again(&self) -> Result<Option<Chunks>> {
        let path = self.file()?;
        if path == Path::new("-") {
            return Ok(None);
        }
        let (source, _) = input::open(path)?;
        let mut rows = Chunks::of_csv(source, path, &self.file_args, &[], true)?;
        if let Some(rows) = &mut rows {
            rows.leave_types_open(|_| true);
        }
        Ok(rows)
    }

    fn show_written(
        &self,
        path: &Path,
        summary: PredictionSummary,
        out: &mut dyn Write,
    ) -> Result<()> {
        if self.format.json {
            let predictions = Predictions {
                summary: Some(summary),
                ..Default::default()
            };
            let response = PredictResponse {
                predictions: Some(predictions),
            };
            return json::write(out, "PredictResponse", &response);
        }
        prediction::write_summary(out, &summary)?;
        writeln!(out, "written to {}", path.display())?;
        Ok(())
    }

    /// The version that scored.
    async fn model(&self, client: &mut Client, number: u64) -> Result<Model> {
        let request = GetModelRequest {
            run_id: self.run.clone(),
            version: Some(version::of_number(number)),
        };
        let response = client.get_model(request).await?.into_inner();
        Ok(response.model.unwrap_or_default())
    }

    /// The names of the features that z-scores of these rows belong to; none if they have no z-scores.
    pub(super) async fn z_score_names(
        &self,
        client: &mut Client,
        rows: &[RowPrediction],
        version: u64,
    ) -> Result<Vec<String>> {
        let mut figures = rows.iter().filter_map(|row| row.figures.as_ref());
        if figures.all(|figures| figures.z_scores.is_empty()) {
            return Ok(Vec::new());
        }
        let model = self.model(client, version).await?;
        Ok(match model.detector_features.is_empty() {
            true => model.feature_names,
            false => model.detector_features,
        })
    }

    /// Shows an answer, beside the rows of the input if they are there.
    async fn show(
        &self,
        client: &mut Client,
        answer: &Predictions,
        rows: Option<Chunks>,
        out: &mut dyn Write,
    ) -> Result<()> {
        let top = prediction::top(answer, 0, self.top);
        let summary = answer.summary.clone().unwrap_or_default();
        let names = self.z_score_names(client, &top, summary.version).await?;
        let is_cut = answer.truncated.unwrap_or(false);
        self.show_top(&summary, &top, &names, is_cut, rows, out)
    }

    fn show_top(
        &self,
        summary: &PredictionSummary,
        top: &[RowPrediction],
        names: &[String],
        is_cut: bool,
        rows: Option<Chunks>,
        out: &mut dyn Write,
    ) -> Result<()> {
        prediction::write_summary(out, summary)?;
        if top.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nthe most anomalous rows, counted from 0:")?;
        let (header, cells) = match rows {
            Some(rows) => cells(rows, top, self.row_id_column.as_deref())?,
            None => Default::default(),
        };
        prediction::write_rows(out, top, names, &header, |row| {
            cells.get(&row).cloned().unwrap_or_default()
        })?;
        if is_cut {
            writeln!(
                out,
                "the answer was cut, so these are the most anomalous of its rows only; --out gives every row"
            )?;
        }
        Ok(())
    }
}

/// The first columns of some rows of the input, without the column of their ids, which are shown already.
fn cells(
    mut chunks: Chunks,
    rows: &[RowPrediction],
    id_column: Option<&str>,
) -> Result<(Vec<String>, CellsOfRow)> {
    let names = chunks.header().iter();
    let is_shown: Vec<bool> = names
        .map(|name| id_column.map(str::as_bytes) != Some(name))
        .collect();
    let text = |record: &ByteRecord| -> Vec<String> {
        let cells = record.iter().zip(&is_shown).filter(|(_, shown)| **shown);
        cells
            .take(SHOWN_COLUMNS)
            .map(|(cell, _)| String::from_utf8_lossy(cell).into_owned())
            .collect()
    };
    let mut cells: CellsOfRow = rows
        .iter()
        .filter_map(|row| row.row)
        .map(|row| (row, Vec::new()))
        .collect();
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
