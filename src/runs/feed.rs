//! Scores a sequence of tables, one after the other.

use std::sync::Arc;

use super::rows::{DatasetSource, ReadRows, RowIds, RowSource, Rows, from_row, in_dataset};
use super::{Caller, Form, History, Runs, Scorer};
use crate::compute::{Admission, Running};
use crate::datasets::Datasets;
use crate::error::{Error, Result};
use crate::memory::Share;
use crate::store::Store;
use anomaly_detection::pipeline::{Describe, Scored};

/// Receives scored rows, in their order.
pub trait Sink: Send {
    /// Fails, before any work is done, when it has no room for `n_rows` rows in all, whose ids take `id_bytes` together.
    fn check_room(&mut self, n_rows: u64, id_bytes: u64) -> Result<()>;

    /// Which of the next rows to describe.
    fn describe(&self) -> Describe;

    /// Adds the rows of a table, with their ids if they have any.
    fn add(&mut self, scored: Scored, ids: Option<Vec<String>>) -> Result<()>;
}

/// Scores tables in order. While one is scored, the next one may be received; no more than these two are held.
pub struct Feed<S, A> {
    datasets: Arc<Datasets<S>>,
    caller: Caller,
    scorer: Scorer,
    /// The history from table to table, if scores depend on it: then each table waits for the one before it.
    history: Option<History>,
    sink: A,
    /// How many rows were received, and the bytes of their ids.
    n_rows: u64,
    id_bytes: u64,
    /// Whether the rows have ids; `None` before the first table.
    have_ids: Option<bool>,
    running: Option<InFlight>,
}

/// A table that is being scored.
struct InFlight {
    origin: Origin,
    ids: Option<Vec<String>>,
    running: Running<Scored>,
}

/// Where the rows of a table come from.
#[derive(Debug)]
struct Origin {
    /// The index of the first row among all rows.
    first_row: u64,
    form: Form,
}

impl Origin {
    /// Adds to an error where it is in the request, and where its rows are among all.
    fn locate(&self, error: Error) -> Error {
        match self.form {
            Form::Dataset => in_dataset(error, self.first_row).within("records"),
            _ => from_row(self.form.locate(error), self.first_row),
        }
    }
}

impl<S: Store> Runs<S> {
    /// Begins to score a sequence of tables.
    pub fn feed<A: Sink>(&self, caller: Caller, scorer: Scorer, sink: A) -> Feed<S, A> {
        Feed {
            datasets: Arc::clone(&self.datasets),
            caller,
            history: scorer.history(),
            scorer,
            sink,
            n_rows: 0,
            id_bytes: 0,
            have_ids: None,
            running: None,
        }
    }
}

impl<S: Store, A: Sink> Feed<S, A> {
    /// The scorer.
    pub fn scorer(&self) -> &Scorer {
        &self.scorer
    }

    /// Scores rows, those of a dataset chunk by chunk.
    ///
    /// Fails when the rows cannot be read, when they or those before them cannot be scored, when [`Sink::check_room`] does, and
    /// when only some rows have ids.
    pub async fn push(&mut self, rows: Rows, admission: Admission) -> Result<()> {
        match rows.source {
            RowSource::Dataset(dataset) => {
                // boxed, since a request with rows of its own needs no room for it
                Box::pin(self.push_dataset(dataset, &rows.ids, admission)).await
            }
            _ => {
                let form = rows.source.form();
                let read = rows.read(&self.datasets, self.caller, None, admission, None);
                let rows = read.await;
                let rows = rows.map_err(|error| self.located(error.within("records")))?;
                self.push_table(rows, form, admission).await
            }
        }
    }

    async fn push_dataset(
        &mut self,
        DatasetSource { id, known_texts }: DatasetSource,
        ids: &RowIds,
        admission: Admission,
    ) -> Result<()> {
        let chunks = self
            .datasets
            .chunks(&self.caller, &id, &known_texts, admission, None);
        let mut chunks = chunks
            .await
            .map_err(|error| error.at("records.dataset_id"))?;
        let n_rows = self.n_rows + chunks.n_rows();
        self.sink.check_room(n_rows, self.id_bytes)?;
        while let Some(mut table) = chunks.next().await? {
            let ids = ids.clone().take_from(&mut table);
            let ids = ids.map_err(|error| self.origin(Form::Dataset).locate(error))?;
            // the reader has the share of the table
            let share = Share::uncounted();
            let rows = ReadRows { table, ids, share };
            self.push_table(rows, Form::Dataset, Admission::Wait)
                .await?;
        }
        Ok(())
    }

    /// Adds to an error of the next records where they are among all.
    pub fn located(&self, error: Error) -> Error {
        from_row(error, self.n_rows)
    }

    fn origin(&self, form: Form) -> Origin {
        Origin {
            first_row: self.n_rows,
            form,
        }
    }

    async fn push_table(&mut self, rows: ReadRows, form: Form, admission: Admission) -> Result<()> {
        let ReadRows { table, ids, share } = rows;
        let origin = self.origin(form);
        if *self.have_ids.get_or_insert(ids.is_some()) != ids.is_some() {
            let message =
                "some records have row ids and others have none; give them to all or to none";
            return Err(origin.locate(Error::field("records.row_ids", message)));
        }
        self.n_rows += table.n_rows() as u64;
        let lengths = ids.iter().flatten().map(String::len);
        self.id_bytes += lengths.sum::<usize>() as u64;
        self.sink.check_room(self.n_rows, self.id_bytes)?;
        if self.history.is_some() {
            let previous = self.running.take();
            self.take(previous).await?;
        }
        let describe = self.sink.describe();
        let running = self
            .scorer
            .submit(admission, table, share, self.history.clone(), describe)
            .await?;
        let next = InFlight {
            origin,
            ids,
            running,
        };
        let previous = self.running.replace(next);
        self.take(previous).await
    }

    /// Waits until all tables are scored, and returns the sink.
    pub async fn finish(mut self) -> Result<A> {
        let last = self.running.take();
        self.take(last).await?;
        Ok(self.sink)
    }

    async fn take(&mut self, scored: Option<InFlight>) -> Result<()> {
        if let Some(InFlight {
            origin,
            ids,
            running,
        }) = scored
        {
            let scored = running.await.map_err(|error| origin.locate(error))?;
            self.sink.add(scored, ids)?;
        }
        Ok(())
    }
}
