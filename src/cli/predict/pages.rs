//! `predict --dataset`: any number of rows, page by page. One page is in memory at a time.

use std::io::Write;

use csv::ByteRecord;
use tonic::Status;

use super::PredictArgs;
use crate::cli::connect::Client;
use crate::cli::error::{Error, Result};
use crate::cli::output::ScoredCsv;
use crate::cli::render::{json, prediction};
use crate::cli::{progress, summary};
use crate::proto::v1::{
    AnswerOptions, AnswerRows, PredictDatasetRequest, PredictDatasetResponse, PredictionSummary,
    Predictions, RowPrediction,
};

/// Where the rows of a dataset go.
pub(super) enum Target {
    /// All of them, to a file.
    Csv(Box<ScoredCsv>),
    /// Each page as a line of JSON.
    Json,
    /// The most anomalous ones, shown after the last page.
    Table(Vec<RowPrediction>),
}

impl PredictArgs {
    /// Opens the target, before a call is made.
    pub(super) fn target(&self) -> Result<Target> {
        Ok(match &self.out {
            // the output of an earlier command must not be overwritten
            Some(path) if self.first_row > 0 && path.is_file() => {
                return Err(Error::usage(format!(
                    "{} exists already; with --first-row, give another file as --out",
                    path.display()
                )));
            }
            Some(path) => {
                let csv = ScoredCsv::create(path, &self.numbers_header())?;
                Target::Csv(Box::new(csv))
            }
            None if self.format.json => Target::Json,
            None => Target::Table(Vec::new()),
        })
    }

    /// Scores the rows of a dataset. If the connection breaks, the scores so far are kept, or shown.
    pub(super) async fn paged(
        &self,
        client: &mut Client,
        dataset_id: &str,
        mut target: Target,
        out: &mut dyn Write,
    ) -> Result<()> {
        let request = PredictDatasetRequest {
            run_id: self.run.clone(),
            version: self.version.clone(),
            dataset_id: dataset_id.to_owned(),
            row_id_column: self.row_id_column(),
            answer: Some(AnswerOptions {
                // small pages arrive sooner and take little memory
                max_bytes: None,
                ..self.answer(AnswerRows::All)
            }),
            first_row: self.first_row,
        };
        let mut pages = client.predict_dataset(request).await?.into_inner();
        let progress = progress::rows();
        let mut seen = Seen::before(self.first_row);
        loop {
            let page = match pages.message().await {
                Ok(Some(page)) => page,
                Ok(None) if seen.is_all() => break,
                Ok(None) => {
                    let status = Status::data_loss("the server ended before the last row");
                    return self.broken_off(status, seen, target, out);
                }
                Err(status) => return self.broken_off(status, seen, target, out),
            };
            seen.add(&page)?;
            progress.set_length(seen.n_rows);
            progress.set_position(seen.next_row);
            self.take(page, &mut target, out)?;
        }
        progress.finish_and_clear();
        let summary = seen.summary.unwrap_or_default();
        match (target, &self.out) {
            (Target::Csv(csv), Some(path)) => {
                csv.finish()?;
                self.show_written(path, summary, out)
            }
            (Target::Table(top), _) => {
                let names = self.z_score_names(client, &top, summary.version).await?;
                self.show_top(&summary, &top, &names, false, None, out)
            }
            _ => Ok(()),
        }
    }

    fn take(
        &self,
        page: PredictDatasetResponse,
        target: &mut Target,
        out: &mut dyn Write,
    ) -> Result<()> {
        let first_row = page.first_row.unwrap_or(0);
        match target {
            Target::Json => json::write(out, "PredictDatasetResponse", &page),
            Target::Csv(csv) => {
                self.write_numbered(csv, &page.predictions.unwrap_or_default(), first_row)
            }
            Target::Table(top) => {
                let answer = page.predictions.unwrap_or_default();
                top.extend(prediction::top(&answer, first_row, self.top));
                let score = |row: &RowPrediction| row.score.unwrap_or(f64::NEG_INFINITY);
                top.sort_by(|a, b| score(b).total_cmp(&score(a)));
                top.truncate(self.top);
                Ok(())
            }
        }
    }

    /// The columns of rows without their input: number and id.
    pub(super) fn numbers_header(&self) -> ByteRecord {
        let id = self.row_id_column.as_ref().map(|_| "row_id");
        ["row"].into_iter().chain(id).collect::<Vec<_>>().into()
    }

    /// Writes the numbers, ids and scores of all rows of an answer; `first_row` is the number of the
    /// first one.
    pub(super) fn write_numbered(
        &self,
        csv: &mut ScoredCsv,
        answer: &Predictions,
        first_row: u64,
    ) -> Result<()> {
        let n_rows = answer.summary.as_ref().and_then(|summary| summary.n_rows);
        let n_ids = match self.row_id_column {
            Some(_) => answer.scores.len(),
            None => 0,
        };
        if n_rows != Some(answer.scores.len() as u64)
            || answer.is_anomaly.len() != answer.scores.len()
            || answer.row_ids.len() != n_ids
        {
            return Err(Error::failed(format!(
                "the server answered {} scores, {} decisions and {} ids for {} rows",
                answer.scores.len(),
                answer.is_anomaly.len(),
                answer.row_ids.len(),
                n_rows.unwrap_or(0)
            )));
        }
        for (at, (&score, &is_anomaly)) in answer.scores.iter().zip(&answer.is_anomaly).enumerate()
        {
            let mut cells = ByteRecord::new();
            cells.push_field((first_row + at as u64).to_string().as_bytes());
            if let Some(id) = answer.row_ids.get(at) {
                cells.push_field(id.as_bytes());
            }
            csv.write(&cells, score, is_anomaly)?;
        }
        Ok(())
    }

    /// Keeps or shows what was found so far, and says how to continue.
    fn broken_off(
        &self,
        status: Status,
        seen: Seen,
        target: Target,
        out: &mut dyn Write,
    ) -> Result<()> {
        let Some(summary) = seen.summary else {
            return Err(status.into());
        };
        let mut rest = format!(
            "for the rest, add --first-row {} --version {}",
            seen.next_row, summary.version
        );
        match (target, &self.out) {
            (Target::Csv(csv), Some(path)) => {
                csv.finish()?;
                rest = format!(
                    "{} holds rows {} to {}; {rest}, and give another file as --out",
                    path.display(),
                    self.first_row,
                    seen.next_row - 1
                );
            }
            // without the names of features, which only the server knows
            (Target::Table(top), _) => self.show_top(&summary, &top, &[], false, None, out)?,
            _ => {}
        }
        Err(Error::BrokenOff {
            status: Box::new(status),
            rest,
        })
    }
}

/// What was received so far of a dataset.
struct Seen {
    /// The summary of all pages so far; `None` before the first one.
    summary: Option<PredictionSummary>,
    next_row: u64,
    n_rows: u64,
}

impl Seen {
    /// Nothing yet.
    fn before(first_row: u64) -> Self {
        Self {
            summary: None,
            next_row: first_row,
            n_rows: 0,
        }
    }

    /// Adds a page, which must follow the one before.
    fn add(&mut self, page: &PredictDatasetResponse) -> Result<()> {
        let [first_row, next_row, n_rows] =
            [page.first_row, page.next_row, page.n_rows].map(Option::unwrap_or_default);
        // only a request that begins after the last row gets a page without rows
        let is_in_order = next_row > first_row || first_row == n_rows;
        if first_row != self.next_row || !is_in_order || next_row > n_rows {
            return Err(Error::failed(format!(
                "the server answered rows {first_row} to {next_row} of {n_rows}, where row {} was next",
                self.next_row
            )));
        }
        let part = page.predictions.as_ref();
        let part = part
            .and_then(|answer| answer.summary.clone())
            .unwrap_or_default();
        self.summary = Some(match self.summary.take() {
            None => part,
            Some(summary) => summary::joined(summary, part),
        });
        self.next_row = next_row;
        self.n_rows = n_rows;
        Ok(())
    }

    fn is_all(&self) -> bool {
        self.summary.is_some() && self.next_row == self.n_rows
    }
}
