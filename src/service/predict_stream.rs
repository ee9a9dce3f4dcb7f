//! PredictStream: a header, tables, an end; answered once.
//!
//! A client that vanishes reads like one that has finished, so only the end message says that all rows have arrived.

use tonic::Streaming;

use super::convert::prediction::{Answer, Detail};
use super::convert::records;
use super::feed::Feed;
use super::status::Failure;
use crate::datasets::Datasets;
use crate::error::{Error, Result, reason};
use crate::proto::v1::predict_stream_request::Part;
use crate::proto::v1::{PredictStreamHeader, PredictStreamRequest};
use crate::runs::{Caller, RunId, Runs};
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
    let mut feed = open(runs, caller, header).await?;
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
                let input = records::required(Some(records), &known_texts);
                let input = input.map_err(|error| feed.located(error))?;
                feed.push(datasets, input).await?;
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
    let answer = feed.finish().await?;
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
) -> Result<Feed> {
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
    let answer = Answer::new(scorer.clone(), detail, Some(max_results));
    Ok(Feed::new(caller, scorer, answer))
}

fn out_of_order(message: &str) -> Error {
    Error::new(reason::INVALID_STREAM, message)
}
