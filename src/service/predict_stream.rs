//! PredictStream: receives a header, tables and an end message, and answers once.
//!
//! A client that vanishes cannot be told from one that has finished, so only the end message confirms that all rows
//! have arrived.

use tonic::Streaming;

use super::convert::answer_options::{AnswerOptions, ListedRows};
use super::convert::prediction::Answer;
use super::convert::{records, version};
use super::status::Failure;
use crate::compute::Admission;
use crate::error::{Error, Result, reason};
use crate::memory::{AnswerMemory, RequestMemory};
use crate::proto::v1::predict_stream_request::Part;
use crate::proto::v1::{PredictStreamHeader, PredictStreamRequest};
use crate::runs::{Caller, Feed, RunId, Runs};
use crate::store::Store;

/// Scores a stream.
pub(super) async fn score<S: Store>(
    runs: &Runs<S>,
    caller: Caller,
    mut messages: Streaming<PredictStreamRequest>,
    memory: &RequestMemory,
    answer_memory: AnswerMemory,
) -> Result<Answer, Failure> {
    let header = match messages.message().await?.map(|message| message.part) {
        Some(Some(Part::Header(header))) => header,
        Some(_) => return Err(out_of_order("the first message must be the header").into()),
        None => {
            return Err(
                out_of_order("the stream is empty; send a header, records and an end").into(),
            );
        }
    };
    let mut feed = open(runs, caller, header, answer_memory).await?;
    let end = loop {
        let Some(message) = messages.message().await? else {
            return Err(out_of_order(
                "the stream ended without its end message, so rows may be missing; nothing is answered",
            )
            .into());
        };
        match message.part {
            Some(Part::Records(records)) => {
                let known_texts = feed.scorer().model.text_columns();
                let rows = records::required(Some(records), &known_texts, memory);
                let rows = rows.map_err(|error| feed.located(error))?;
                let pushed = feed.push(rows, Admission::Wait).await;
                pushed.map_err(in_header)?;
            }
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
    let answer = feed.finish().await.map_err(in_header)?;
    match end.rows {
        Some(sent) if sent != answer.n_rows() => Err(out_of_order(&format!(
            "the end message says that {sent} rows were sent, but {} arrived",
            answer.n_rows()
        ))
        .into()),
        _ => Ok(answer),
    }
}

async fn open<S: Store>(
    runs: &Runs<S>,
    caller: Caller,
    header: PredictStreamHeader,
    memory: AnswerMemory,
) -> Result<Feed<S, Answer>> {
    let in_header = |error: Error| error.within("header");
    let run_id = RunId::parse(header.run_id).map_err(in_header)?;
    let version = version::receive(header.version, "version").map_err(in_header)?;
    let options = AnswerOptions::try_from(header.answer);
    let options = options.map_err(|error| in_header(error.within("answer")))?;
    let scorer = runs.scorer(caller, run_id, version).await;
    let scorer = scorer.map_err(in_header)?;
    let answer = Answer::new(scorer.clone(), options, ListedRows::Anomalies, memory);
    Ok(runs.feed(caller, scorer, answer.with_scores()))
}

/// The size of the answer is an option of the header.
fn in_header(error: Error) -> Error {
    match error.reason() {
        reason::ANSWER_TOO_LARGE => error.within("header"),
        _ => error,
    }
}

fn out_of_order(message: &str) -> Error {
    Error::new(reason::INVALID_STREAM, message)
}
