//! Tables on their way to the answer of a prediction.

use super::convert::prediction::Answer;
use super::convert::records::Input;
use crate::compute::{Admission, Running};
use crate::datasets::{Datasets, Pieces};
use crate::error::{Error, Kind, Result};
use crate::runs::{Caller, History, Scorer};
use crate::store::Store;
use anomaly_detection::pipeline::Scored;
use anomaly_detection::table::Table;

/// Tables that are scored one after the other, or nearly: while one is scored the next one is received, and no more than these
/// two are held.
pub(super) struct Feed {
    caller: Caller,
    scorer: Scorer,
    /// What is remembered from table to table, where that matters: then none is scored before the one ahead of it is done.
    history: Option<History>,
    answer: Answer,
    /// How many rows have been received.
    n_rows: u64,
    /// The table that is being scored, and where its rows come from.
    running: Option<(Origin, Running<Scored>)>,
}

/// Where the rows of a table come from.
#[derive(Debug, Clone, Copy)]
struct Origin {
    /// The index of the first one among all rows.
    first_row: u64,
    of_dataset: bool,
}

impl Origin {
    /// An error of such rows with where they are among all: it counts rows within them. The rows of a dataset have no place of
    /// their own in the request.
    fn locate(self, error: Error) -> Error {
        if error.kind() != Kind::InvalidArgument {
            return error;
        }
        let error = match self.first_row {
            0 => error,
            first_row => error.during(&format!("in the records from row {first_row} on")),
        };
        match self.of_dataset {
            true => error.at("records.dataset_id"),
            false => error,
        }
    }
}

impl Feed {
    /// Before the first table.
    pub(super) fn new(caller: Caller, scorer: Scorer, answer: Answer) -> Self {
        Self {
            caller,
            history: scorer.history(),
            scorer,
            answer,
            n_rows: 0,
            running: None,
        }
    }

    /// What scores.
    pub(super) fn scorer(&self) -> &Scorer {
        &self.scorer
    }

    /// Scores records, those of a dataset piece by piece.
    pub(super) async fn push<S: Store>(
        &mut self,
        datasets: &Datasets<S>,
        input: Input,
    ) -> Result<()> {
        match input {
            Input::Dataset(id, known_texts) => {
                let pieces = datasets.pieces(&self.caller, &id, &known_texts, Admission::Wait);
                let pieces = pieces
                    .await
                    .map_err(|error| error.at("records.dataset_id"))?;
                self.push_pieces(pieces).await
            }
            input => {
                let table = input.table(datasets, self.caller, None, Admission::Wait);
                let (table, _) = table.await.map_err(|error| self.located(error))?;
                self.push_table(table, false).await
            }
        }
    }

    /// The answer for the rows of a dataset.
    pub(super) async fn of_dataset(mut self, pieces: Pieces) -> Result<Answer> {
        self.push_pieces(pieces).await?;
        self.finish().await
    }

    async fn push_pieces(&mut self, mut pieces: Pieces) -> Result<()> {
        while let Some(table) = pieces.next().await? {
            self.push_table(table, true).await?;
        }
        Ok(())
    }

    /// An error of the records that come next, with where among all they are.
    pub(super) fn located(&self, error: Error) -> Error {
        self.origin(false).locate(error)
    }

    fn origin(&self, of_dataset: bool) -> Origin {
        Origin {
            first_row: self.n_rows,
            of_dataset,
        }
    }

    async fn push_table(&mut self, table: Table, of_dataset: bool) -> Result<()> {
        let origin = self.origin(of_dataset);
        self.n_rows += table.n_rows() as u64;
        self.answer.check_room(self.n_rows)?;
        let with_details = self.answer.wants_details();
        if self.history.is_some() {
            let previous = self.running.take();
            self.take(previous).await?;
        }
        let next = self
            .scorer
            .submit(Admission::Wait, table, self.history.clone(), with_details)
            .await?;
        let previous = self.running.replace((origin, next));
        self.take(previous).await
    }

    /// The answer, once all tables are scored.
    pub(super) async fn finish(mut self) -> Result<Answer> {
        let last = self.running.take();
        self.take(last).await?;
        Ok(self.answer)
    }

    async fn take(&mut self, scored: Option<(Origin, Running<Scored>)>) -> Result<()> {
        if let Some((origin, running)) = scored {
            let scored = running.await.map_err(|error| origin.locate(error))?;
            self.answer.add(scored)?;
        }
        Ok(())
    }
}
