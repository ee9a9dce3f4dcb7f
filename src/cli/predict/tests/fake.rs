//! A service whose score of a row is its column `x`.

use std::sync::{Arc, Mutex, PoisonError};

use tonic::{Request, Response, Status, Streaming};

use super::super::{PredictRequest, PredictResponse, PredictionSummary};
use crate::proto::v1::anomaly_service_server::AnomalyService;
use crate::proto::v1::predict_stream_request::Part;
use crate::proto::v1::{
    self as pb, ColumnRole, PredictStreamHeader, PredictStreamRequest, PredictStreamResponse,
    records,
};

pub(super) const THRESHOLD: f64 = 5.0;
pub(super) const ACTIVE_VERSION: u64 = 7;

/// The only dataset, and its column `x`.
pub(super) const DATASET: (&str, [f64; 3]) = ("june", [1.0, 9.0, 7.0]);

/// The header of a stream, and how many rows each of its messages had.
pub(super) type SeenStream = (PredictStreamHeader, Vec<usize>);

#[derive(Clone, Default)]
pub(super) struct Fake {
    /// The headers of the streams that were answered, with the rows of each message.
    streams: Arc<Mutex<Vec<SeenStream>>>,
}

impl Fake {
    pub(super) fn streams(&self) -> Vec<SeenStream> {
        self.streams
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn scores(records: Option<pb::Records>) -> Result<Vec<f64>, Status> {
    let file = match records.and_then(|records| records.form) {
        Some(records::Form::File(file)) => file,
        Some(records::Form::DatasetId(id)) if id == DATASET.0 => return Ok(DATASET.1.to_vec()),
        _ => return Err(Status::invalid_argument("expected a file or the dataset")),
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

fn summary(run_id: String, version: u64, scores: &[f64]) -> PredictionSummary {
    PredictionSummary {
        run_id,
        version: if version == 0 {
            ACTIVE_VERSION
        } else {
            version
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
        let mut scores = scores(request.records)?;
        let summary = summary(request.run_id.clone(), request.version, &scores);
        if request.run_id == "forgetful" {
            scores.pop();
        }
        Ok(Response::new(PredictResponse {
            summary: Some(summary),
            is_anomaly: scores.iter().map(|&score| score > THRESHOLD).collect(),
            scores,
            rows: Vec::new(),
        }))
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
                    let scores = scores(Some(part))?;
                    messages.push(scores.len());
                    all.extend(scores);
                }
                Some(Part::End(end)) if end.rows == Some(all.len() as u64) => break,
                Some(_) => return Err(Status::invalid_argument("out of order, or miscounted")),
                None => return Err(Status::invalid_argument("the stream has no end")),
            }
        }
        let summary = summary(header.run_id.clone(), header.version, &all);
        self.streams
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((header, messages));
        Ok(Response::new(PredictStreamResponse {
            summary: Some(summary),
            is_anomaly: all.iter().map(|&score| score > THRESHOLD).collect(),
            scores: all,
            rows: Vec::new(),
            truncated: Some(false),
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
        let column = |name: &str, role: ColumnRole| pb::Column {
            name: name.to_owned(),
            role: role.into(),
            ..Default::default()
        };
        let model = pb::Model {
            columns: vec![
                column("when", ColumnRole::Time),
                column("sensor", ColumnRole::Series),
            ],
            feature_engineering: (run_id == "engineered").then(Default::default),
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
