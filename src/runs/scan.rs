//! Scores a dataset chunk by chunk, from any row on.

use std::ops::Range;

use super::rows::{DatasetSource, RowIds, in_dataset};
use super::{Caller, History, Runs, Scorer};
use crate::compute::Admission;
use crate::datasets::Chunks;
use crate::error::{Error, Result};
use crate::memory::Share;
use crate::store::Store;
use anomaly_detection::pipeline::{Describe, Scored};
use anomaly_detection::table::{AbsentCell, Table};

/// A dataset that is being scored.
pub struct Scan {
    scorer: Scorer,
    history: Option<History>,
    chunks: Chunks,
    ids: RowIds,
    /// The row that the next chunk of the dataset begins with.
    next_row: u64,
    /// The row that scoring begins with.
    first_row: u64,
}

/// The scores of consecutive rows.
pub struct ScannedChunk {
    /// The first of the rows, counted from the start of the dataset.
    pub first_row: u64,
    /// Their scores.
    pub scored: Scored,
    /// Their ids, if they have ids.
    pub ids: Option<Vec<String>>,
}

impl<S: Store> Runs<S> {
    /// Begins to score a dataset from a row on, in chunks of at most `max_rows` rows. The rows before it are read into the
    /// history, so that the scores are those of a scan from the first row.
    ///
    /// Fails when there is no such dataset, or `first_row` is more than the number of its rows. If it is that number, nothing is
    /// left to score.
    pub async fn scan(
        &self,
        caller: &Caller,
        scorer: Scorer,
        source: DatasetSource,
        ids: RowIds,
        first_row: u64,
        max_rows: usize,
    ) -> Result<Scan> {
        let DatasetSource { id, known_texts } = source;
        let chunks =
            self.datasets
                .chunks(caller, &id, &known_texts, Admission::Refuse, Some(max_rows));
        let chunks = chunks.await.map_err(|error| error.at("dataset_id"))?;
        if first_row > chunks.n_rows() {
            let message = format!(
                "first_row is {first_row}; it must be at most {}, the number of rows of the dataset",
                chunks.n_rows()
            );
            return Err(Error::field("first_row", message));
        }
        Ok(Scan {
            history: scorer.history(),
            scorer,
            chunks,
            ids,
            next_row: 0,
            first_row,
        })
    }
}

impl Scan {
    /// How many rows the dataset has.
    pub fn n_rows(&self) -> u64 {
        self.chunks.n_rows()
    }

    /// The scores of the next rows; `None` after the last. `describe` says which of them to
    /// describe.
    ///
    /// Fails when the rows cannot be scored, and says where they are in the dataset.
    pub async fn next(&mut self, describe: Describe) -> Result<Option<ScannedChunk>> {
        while let Some(mut table) = self.chunks.next().await? {
            let first_row = self.next_row;
            self.next_row += table.n_rows() as u64;
            let ids = self.ids.clone().take_from(&mut table);
            let ids = ids.map_err(|error| in_dataset(error, first_row))?;
            let n_before = self.first_row.saturating_sub(first_row);
            let n_before = usize::try_from(n_before).unwrap_or(usize::MAX);
            if n_before >= table.n_rows() {
                self.remember(table, first_row).await?;
                continue;
            }
            let (table, ids) = match n_before {
                0 => (table, ids),
                _ => {
                    self.remember(slice(&table, 0..n_before), first_row).await?;
                    let rest = slice(&table, n_before..table.n_rows());
                    (rest, ids.map(|mut ids| ids.split_off(n_before)))
                }
            };
            let first_row = first_row + n_before as u64;
            let history = self.history.clone();
            let running = self.scorer.submit(
                Admission::Wait,
                table,
                Share::uncounted(),
                history,
                describe,
            );
            let scored = running.await?.await;
            return Ok(Some(ScannedChunk {
                first_row,
                scored: scored.map_err(|error| in_dataset(error, first_row))?,
                ids,
            }));
        }
        Ok(None)
    }

    /// Adds rows to the history; the first of them has this index.
    async fn remember(&mut self, table: Table, first_row: u64) -> Result<()> {
        let remembered = self.scorer.remember(table, self.history.clone());
        remembered
            .await
            .map_err(|error| in_dataset(error, first_row))
    }
}

/// Consecutive rows of a table, with their absent cells.
fn slice(table: &Table, rows: Range<usize>) -> Table {
    let absent = table
        .absent()
        .iter()
        .filter(|cell| rows.contains(&cell.row));
    let absent = absent.map(|cell| AbsentCell {
        row: cell.row - rows.start,
        ..*cell
    });
    let absent = absent.collect();
    table.slice_rows(rows).with_absent(absent)
}
