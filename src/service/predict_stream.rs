//! PredictStream: a header, tables, an end; answered once.
//!
//! A client that vanishes reads like one that has finished, so only the end message says that all rows have arrived.

use tonic::Streaming;

use super::convert::prediction::{Answer, Detail};
use super::convert::records;
use crate::compute::{Admission, Running};
use crate::datasets::Datasets;
use crate::error::{Error, Kind, Reason, Result};
use crate::pipeline::Scored;
use crate::proto::v1::predict_stream_request::Part;
use crate::proto::v1::records::Form;
use crate::proto::v1::{PredictStreamHeader, PredictStreamRequest, PredictStreamResponse, Records};
use crate::runs::{Caller, History, RunId, Runs, Scorer};
use crate::store::Store;

/// How many results an answer lists when the header does not say.
const DEFAULT_MAX_RESULTS: usize = 100_000;

/// The most results that a header may ask for: 8 MB of scores.
const MAX_RESULTS: usize = 1_000_000;

/// Scores a stream.
pub(super) async fn score<S: Store>(
    runs: &Runs<S>,
    datasets: &Datasets<S>,
    caller: Caller,
    mut messages: Streaming<PredictStreamRequest>,
) -> Result<PredictStreamResponse, tonic::Status> {
    let header = match messages.message().await?.map(|message| message.part) {
        Some(Some(Part::Header(header))) => header,
        Some(_) => return Err(out_of_order("the first message must be the header").into()),
        None => {
            return Err(
                out_of_order("the stream is empty; send a header, records and an end").into(),
            );
        }
    };
    let mut feed = Feed::open(runs, caller, header).await?;
    let end = loop {
        let Some(message) = messages.message().await? else {
            return Err(out_of_order(
                "the stream ended without its end message, so rows may be missing; nothing is answered",
            )
            .into());
        };
        match message.part {
            Some(Part::Records(records)) => feed.push(datasets, records).await?,
            Some(Part::End(end)) => break end,
            Some(Part::Header(_)) => {
                return Err(out_of_order("there must be one header, and it comes first").into());
            }
            None => {
                return Err(out_of_order("a message has no part; send records or the end").into());
            }
        }
    };
    if messages.message().await?.is_some() {
        return Err(out_of_order("nothing may follow the end message").into());
    }
    let answer = feed.finish().await?;
    match end.rows {
        Some(sent) if sent != answer.n_rows() => Err(out_of_order(&format!(
            "the end message says that {sent} rows were sent, but {} arrived",
            answer.n_rows()
        ))
        .into()),
        _ => Ok(answer.into()),
    }
}

/// Tables on their way to the answer. While one is scored the next one is received, and no more than these two are held.
struct Feed {
    caller: Caller,
    scorer: Scorer,
    /// What is remembered from table to table, where that matters: then they are scored one after the other.
    history: Option<History>,
    answer: Answer,
    /// How many rows have been received.
    n_rows: u64,
    /// The table that is being scored, and the index of its first row in the stream.
    running: Option<(u64, Running<Scored>)>,
}

impl Feed {
    async fn open<S: Store>(
        runs: &Runs<S>,
        caller: Caller,
        header: PredictStreamHeader,
    ) -> Result<Self> {
        let run_id = RunId::parse(header.run_id)?;
        let detail = Detail::receive(header.detail, Detail::Anomalies)?;
        let max_results = match header.max_results {
            None => DEFAULT_MAX_RESULTS,
            Some(given) if (1..=MAX_RESULTS).contains(&(given as usize)) => given as usize,
            Some(given) => {
                return Err(Error::field(
                    "header.max_results",
                    format!("max_results is {given}; it must be from 1 to {MAX_RESULTS}"),
                ));
            }
        };
        let scorer = runs
            .scorer(caller, run_id, super::anomaly::selector(header.version))
            .await?;
        Ok(Self {
            answer: Answer::new(scorer.clone(), detail, Some(max_results)),
            caller,
            history: scorer.history(),
            scorer,
            n_rows: 0,
            running: None,
        })
    }

    async fn push<S: Store>(&mut self, datasets: &Datasets<S>, records: Records) -> Result<()> {
        let first_row = self.n_rows;
        if matches!(records.form, Some(Form::DatasetId(_))) {
            return Err(Error::field(
                "records.dataset_id",
                "a stream takes no dataset; send the dataset_id to Predict",
            ));
        }
        let input = records::required(Some(records), &self.scorer.model.text_columns());
        let table = match input {
            Ok(input) => input.table(datasets, self.caller, Admission::Wait).await,
            Err(error) => Err(error),
        };
        let (table, _) = table.map_err(|error| located(error, first_row))?;
        self.n_rows += table.n_rows() as u64;
        let with_details = self.answer.wants_details(table.n_rows())?;
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

    async fn finish(mut self) -> Result<Answer> {
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

/// The error with where in the stream its records are: it counts rows within them.
fn located(error: Error, first_row: u64) -> Error {
    match error.kind() {
        Kind::InvalidArgument => error.during(&format!(
            "in the records from row {first_row} of the stream on"
        )),
        _ => error,
    }
}

fn out_of_order(message: &str) -> Error {
    Error::new(Reason::InvalidStream, message)
}
