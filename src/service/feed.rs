//! Tables on their way to the answer of a prediction.

use super::convert::prediction::Answer;
use super::convert::records::Input;
use crate::compute::{Admission, Running};
use crate::datasets::{Datasets, Pieces};
use crate::error::{Error, Kind, Result};
use crate::pipeline::Scored;
use crate::runs::{Caller, History, Scorer};
use crate::store::Store;
use crate::table::Table;

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
    /// The table that is being scored, and the index of its first row among all.
    running: Option<(u64, Running<Scored>)>,
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
                self.push_table(table).await
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
            self.push_table(table).await?;
        }
        Ok(())
    }

    /// An error of the records that come next, with where among all they are.
    pub(super) fn located(&self, error: Error) -> Error {
        located(error, self.n_rows)
    }

    async fn push_table(&mut self, table: Table) -> Result<()> {
        let first_row = self.n_rows;
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
        let previous = self.running.replace((first_row, next));
        self.take(previous).await
    }

    /// The answer, once all tables are scored.
    pub(super) async fn finish(mut self) -> Result<Answer> {
        let last = self.running.take();
        self.take(last).await?;
        Ok(self.answer)
    }

    async fn take(&mut self, scored: Option<(u64, Running<Scored>)>) -> Result<()> {
        if let Some((first_row, running)) = scored {
            let scored = running.await.map_err(|error| located(error, first_row))?;
            self.answer.add(scored)?;
        }
        Ok(())
    }
}

/// The error with where among all rows its records are: it counts rows within them.
fn located(error: Error, first_row: u64) -> Error {
    match error.kind() {
        Kind::InvalidArgument if first_row > 0 => {
            error.during(&format!("in the records from row {first_row} on"))
        }
        _ => error,
    }
}
