//! A service whose score of a row is its column `x`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tonic::{Request, Response, Status, Streaming};

use crate::proto::v1::anomaly_service_server::AnomalyService;
use crate::proto::v1::predict_stream_request::Part;
use crate::proto::v1::version_selector::Choice;
use crate::proto::v1::{
    self as pb, AnswerRows, ColumnRole, PredictDatasetRequest, PredictDatasetResponse,
    PredictRequest, PredictResponse, PredictStreamHeader, PredictStreamRequest,
    PredictStreamResponse, PredictionSummary, Predictions, VersionSelector, records,
};

pub(super) const THRESHOLD: f64 = 5.0;
pub(super) const ACTIVE_VERSION: u64 = 7;

/// The only dataset, and its column `x`.
pub(super) const DATASET: (&str, [f64; 5]) = ("june", [1.0, 9.0, 7.0, 2.0, 8.0]);

/// How many of its rows make a page.
const PAGE_ROWS: usize = 2;

/// The header of a stream, and how many rows each of its messages had.
pub(super) type SeenStream = (PredictStreamHeader, Vec<usize>);

#[derive(Clone, Default)]
pub(super) struct Fake {
    /// The headers of the streams that were answered, with the rows of each message.
    streams: Arc<Mutex<Vec<SeenStream>>>,
    /// The row id columns that the messages of streams named.
    id_columns: Arc<Mutex<Vec<String>>>,
    /// The requests for a file.
    files: Arc<Mutex<Vec<PredictRequest>>>,
    /// The requests for a dataset.
    datasets: Arc<Mutex<Vec<PredictDatasetRequest>>>,
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Fake {
    pub(super) fn streams(&self) -> Vec<SeenStream> {
        locked(&self.streams).clone()
    }

    pub(super) fn id_columns(&self) -> Vec<String> {
        locked(&self.id_columns).clone()
    }

    pub(super) fn files(&self) -> Vec<PredictRequest> {
        locked(&self.files).clone()
    }

    pub(super) fn datasets(&self) -> Vec<PredictDatasetRequest> {
        locked(&self.datasets).clone()
    }
}

fn scores(records: Option<pb::Records>) -> Result<Vec<f64>, Status> {
    let file = match records.and_then(|records| records.form) {
        Some(records::Form::File(file)) => file,
        _ => return Err(Status::invalid_argument("expected a file")),
    };
    let mut reader = csv::Reader::from_reader(&*file.content);
    let header = reader
        .headers()
        .map_err(|e| Status::invalid_argument(e.to_string()))?
        .clone();
    if header.iter().any(|name| name == "text") {
        return Err(Status::invalid_argument("text columns are refused"));
    }
    let x = header
        .iter()
        .position(|name| name == "x")
        .ok_or_else(|| Status::invalid_argument("no x"))?;
    reader
        .records()
        .map(|record| {
            let record = record.map_err(|e| Status::invalid_argument(e.to_string()))?;
            record[x]
                .parse()
                .map_err(|_| Status::invalid_argument("not a number"))
        })
        .collect()
}

/// The scores of all rows, or of the anomalies if those are asked for.
fn predictions(
    run_id: &str,
    version: Option<VersionSelector>,
    answer: Option<pb::AnswerOptions>,
    scores: &[f64],
    first_row: u64,
) -> Predictions {
    let only_anomalies = answer.is_some_and(|answer| answer.rows() == AnswerRows::Anomalies);
    let rows = (first_row..).zip(scores);
    let listed: Vec<(u64, f64)> = rows
        .filter(|&(_, &score)| !only_anomalies || score > THRESHOLD)
        .map(|(row, &score)| (row, score))
        .collect();
    let indices = listed.iter().map(|&(row, _)| row);
    Predictions {
        summary: Some(summary(run_id, version, scores)),
        row_indices: if only_anomalies {
            indices.collect()
        } else {
            Vec::new()
        },
        scores: listed.iter().map(|&(_, score)| score).collect(),
        is_anomaly: listed.iter().map(|&(_, score)| score > THRESHOLD).collect(),
        truncated: Some(false),
        ..Default::default()
    }
}

fn summary(run_id: &str, version: Option<VersionSelector>, scores: &[f64]) -> PredictionSummary {
    let given = version.and_then(|version| version.choice);
    PredictionSummary {
        run_id: run_id.to_owned(),
        version: match given {
            Some(Choice::Number(number)) => number,
            _ => ACTIVE_VERSION,
        },
        threshold: Some(THRESHOLD),
        n_rows: Some(scores.len() as u64),
        n_anomalies: Some(scores.iter().filter(|&&score| score > THRESHOLD).count() as u64),
        ..Default::default()
    }
}

#[tonic::async_trait]
impl AnomalyService for Fake {
    async fn predict(
        &self,
        request: Request<PredictRequest>,
    ) -> Result<Response<PredictResponse>, Status> {
        let request = request.into_inner();
        locked(&self.files).push(request.clone());
        let scores = scores(request.records)?;
        let mut answer = predictions(&request.run_id, request.version, request.answer, &scores, 0);
        if request.run_id == "forgetful" {
            answer.scores.pop();
        }
        Ok(Response::new(PredictResponse {
            predictions: Some(answer),
        }))
    }

    type PredictDatasetStream =
        tokio_stream::Iter<std::vec::IntoIter<Result<PredictDatasetResponse, Status>>>;

    /// The run "broken" answers one page and an error, "short" all pages but the last, and "repeating"
    /// the first one twice.
    async fn predict_dataset(
        &self,
        request: Request<PredictDatasetRequest>,
    ) -> Result<Response<Self::PredictDatasetStream>, Status> {
        let request = request.into_inner();
        locked(&self.datasets).push(request.clone());
        let (id, x) = DATASET;
        let first_row = request.first_row as usize;
        if request.dataset_id != id || first_row >= x.len() {
            return Err(Status::not_found("no such dataset, or no such row"));
        }
        let pages = x[first_row..].chunks(PAGE_ROWS).enumerate();
        let mut pages: Vec<_> = pages
            .map(|(page, scores)| {
                let first_row = (first_row + page * PAGE_ROWS) as u64;
                let mut answer = predictions(
                    &request.run_id,
                    request.version.clone(),
                    request.answer,
                    scores,
                    first_row,
                );
                if !request.row_id_column.is_empty() {
                    let names = (first_row..).take(scores.len());
                    answer.row_ids = names.map(|row| format!("id {row}")).collect();
                }
                Ok(PredictDatasetResponse {
                    predictions: Some(answer),
                    first_row: Some(first_row),
                    next_row: Some(first_row + scores.len() as u64),
                    n_rows: Some(x.len() as u64),
                })
            })
            .collect();
        match request.run_id.as_str() {
            "broken" => {
                pages.truncate(1);
                pages.push(Err(Status::unavailable("the connection broke")));
            }
            "short" => {
                pages.pop();
            }
            "repeating" => pages.insert(0, pages[0].clone()),
            _ => {}
        }
        Ok(Response::new(tokio_stream::iter(pages)))
    }

    async fn predict_stream(
        &self,
        request: Request<Streaming<PredictStreamRequest>>,
    ) -> Result<Response<PredictStreamResponse>, Status> {
        let mut stream = request.into_inner();
        let Some(Part::Header(header)) = stream.message().await?.and_then(|message| message.part)
        else {
            return Err(Status::invalid_argument("expected a header"));
        };
        if header.run_id == "missing" {
            return Err(Status::not_found("no such run"));
        }
        let (mut all, mut messages) = (Vec::new(), Vec::new());
        loop {
            match stream.message().await?.and_then(|message| message.part) {
                Some(Part::Records(part)) => {
                    locked(&self.id_columns).push(part.row_id_column.clone());
                    let scores = scores(Some(part))?;
                    messages.push(scores.len());
                    all.extend(scores);
                }
                Some(Part::End(end)) if end.rows == Some(all.len() as u64) => break,
                Some(_) => return Err(Status::invalid_argument("out of order, or miscounted")),
                None => return Err(Status::invalid_argument("the stream has no end")),
            }
        }
        let version = header.version.clone();
        let answer = predictions(&header.run_id, version, header.answer, &all, 0);
        locked(&self.streams).push((header, messages));
        Ok(Response::new(PredictStreamResponse {
            predictions: Some(answer),
        }))
    }

    async fn train(
        &self,
        _: Request<pb::TrainRequest>,
    ) -> Result<Response<pb::TrainResponse>, Status> {
        Err(Status::unimplemented("not needed here"))
    }
    async fn update(
        &self,
        _: Request<pb::UpdateRequest>,
    ) -> Result<Response<pb::UpdateResponse>, Status> {
        Err(Status::unimplemented("not needed here"))
    }
    async fn list_models(
        &self,
        _: Request<pb::ListModelsRequest>,
    ) -> Result<Response<pb::ListModelsResponse>, Status> {
        Err(Status::unimplemented("not needed here"))
    }
    async fn get_model(
        &self,
        request: Request<pb::GetModelRequest>,
    ) -> Result<Response<pb::GetModelResponse>, Status> {
        let run_id = request.into_inner().run_id;
        let column = |name: &str, role: ColumnRole| pb::ModelColumn {
            name: name.to_owned(),
            role: role.into(),
            ..Default::default()
        };
        let model = pb::Model {
            columns: vec![
                column("when", ColumnRole::Time),
                column("sensor", ColumnRole::Series),
            ],
            spec: Some(pb::TrainingSpec {
                feature_engineering: (run_id == "engineered").then(Default::default),
                ..Default::default()
            }),
            ..Default::default()
        };
        Ok(Response::new(pb::GetModelResponse {
            model: Some(model),
            ..Default::default()
        }))
    }
    async fn delete_run(
        &self,
        _: Request<pb::DeleteRunRequest>,
    ) -> Result<Response<pb::DeleteRunResponse>, Status> {
        Err(Status::unimplemented("not needed here"))
    }
}
