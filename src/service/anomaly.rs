//! `anomaly.v1.AnomalyService`.

use std::sync::Arc;

use prost::Message as _;
use tonic::{Extensions, Request, Response, Status, Streaming};

use super::convert::answer_options::{AnswerOptions, ListedRows};
use super::convert::prediction::Answer;
use super::convert::{records, training, version};
use super::predict_dataset::Pages;
use super::status::answer;
use super::{page, predict_dataset, predict_stream};
use crate::caller::Deadline;
use crate::compute::Admission;
use crate::error::{Error, Result, reason};
use crate::proto::v1;
use crate::proto::v1::anomaly_service_server::AnomalyService;
use crate::proto::v1::{
    DeleteRunRequest, DeleteRunResponse, GetModelRequest, GetModelResponse, ListModelsRequest,
    ListModelsResponse, PredictDatasetRequest, PredictRequest, PredictResponse,
    PredictStreamRequest, PredictStreamResponse, TrainRequest, TrainResponse, UpdateRequest,
    UpdateResponse,
};
use crate::runs::{Caller, RequestId, RunId, Runs, VersionSelector};
use crate::store::{Owner, Store};
use crate::telemetry::Metrics;
use anomaly_detection::pipeline::Model;

/// The gRPC service of runs.
#[derive(Debug)]
pub struct AnomalyGrpc<S> {
    runs: Arc<Runs<S>>,
    metrics: Arc<Metrics>,
}

impl<S: Store> AnomalyGrpc<S> {
    /// A service for these runs; `metrics` counts what predictions find.
    pub fn new(runs: Arc<Runs<S>>, metrics: Arc<Metrics>) -> Self {
        Self { runs, metrics }
    }

    /// The model of the version in `like_version`, if the request has one.
    async fn like(
        &self,
        caller: Caller,
        run_id: &RunId,
        version: Option<v1::VersionSelector>,
    ) -> Result<Option<Arc<Model>>> {
        if version.is_none() {
            return Ok(None);
        }
        let version = version::receive(version, "like_version")?;
        let scorer = self.runs.scorer(caller, run_id.clone(), version).await;
        let scorer = scorer.map_err(|error| match error.reason() {
            reason::VERSION_NOT_FOUND => error.at("like_version"),
            _ => error,
        })?;
        Ok(Some(scorer.model))
    }
}

#[tonic::async_trait]
impl<S: Store> AnomalyService for AnomalyGrpc<S> {
    async fn train(
        &self,
        request: Request<TrainRequest>,
    ) -> Result<Response<TrainResponse>, Status> {
        answer(async {
            let caller = caller(request.extensions())?;
            let request = request.into_inner();
            let id = RequestId::parse(&request.request_id, "Train", || request.encode_to_vec())?;
            let run_id = RunId::parse(request.run_id)?;
            let made_before = self.runs.made_before(&caller, &run_id, id.as_ref()).await?;
            let described = match made_before {
                Some(described) => described,
                None => {
                    let like = self.like(caller, &run_id, request.like_version).await?;
                    let like = like.as_deref();
                    let known_texts = like.map(Model::text_columns).unwrap_or_default();
                    let rows = records::optional(request.records, &known_texts)?;
                    let spec = request.spec.unwrap_or_default();
                    let spec = training::receive(spec, like.map(Model::spec));
                    let spec = spec.map_err(|error| error.within("spec"))?;
                    let form = rows.as_ref().map(|rows| rows.source.form());
                    let trained = self.runs.train(caller, run_id, id, spec, rows).await;
                    trained.map_err(|error| match form {
                        Some(form) => in_spec(form.locate(error)),
                        None => in_spec(error),
                    })?
                }
            };
            Ok(TrainResponse {
                model: Some(described.into()),
            })
        })
        .await
    }

    async fn predict(
        &self,
        request: Request<PredictRequest>,
    ) -> Result<Response<PredictResponse>, Status> {
        answer(async {
            let caller = caller(request.extensions())?;
            let request = request.into_inner();
            let run_id = RunId::parse(request.run_id)?;
            let version = version::receive(request.version, "version")?;
            let options = AnswerOptions::try_from(request.answer);
            let options = options.map_err(|error| error.within("answer"))?;
            let scorer = self.runs.scorer(caller, run_id, version).await?;
            let rows = records::required(request.records, &scorer.model.text_columns())?;
            let predictions = Answer::new(scorer.clone(), options, ListedRows::All);
            let mut feed = self.runs.feed(caller, scorer, predictions);
            feed.push(rows, Admission::Refuse).await?;
            let predictions = feed.finish().await?;
            self.metrics.count(predictions.counts());
            Ok(PredictResponse {
                predictions: Some(predictions.into()),
            })
        })
        .await
    }

    async fn predict_stream(
        &self,
        request: Request<Streaming<PredictStreamRequest>>,
    ) -> Result<Response<PredictStreamResponse>, Status> {
        answer(async {
            let caller = caller(request.extensions())?;
            let messages = request.into_inner();
            let predictions = predict_stream::score(&self.runs, caller, messages).await?;
            self.metrics.count(predictions.counts());
            Ok(PredictStreamResponse {
                predictions: Some(predictions.into()),
            })
        })
        .await
    }

    type PredictDatasetStream = Pages;

    async fn predict_dataset(
        &self,
        request: Request<PredictDatasetRequest>,
    ) -> Result<Response<Pages>, Status> {
        answer(async {
            let caller = caller(request.extensions())?;
            let request = request.into_inner();
            let metrics = Arc::clone(&self.metrics);
            Ok(predict_dataset::pages(&self.runs, caller, request, metrics).await?)
        })
        .await
    }

    async fn update(
        &self,
        request: Request<UpdateRequest>,
    ) -> Result<Response<UpdateResponse>, Status> {
        answer(async {
            let caller = caller(request.extensions())?;
            let request = request.into_inner();
            let id = RequestId::parse(&request.request_id, "Update", || request.encode_to_vec())?;
            let run_id = RunId::parse(request.run_id)?;
            let made_before = self.runs.made_before(&caller, &run_id, id.as_ref()).await?;
            let described = match made_before {
                Some(described) => described,
                None => {
                    let active = self
                        .runs
                        .scorer(caller, run_id.clone(), VersionSelector::Active);
                    let known_texts = active.await?.model.text_columns();
                    let rows = records::required(request.records, &known_texts)?;
                    let form = rows.source.form();
                    let updated = self.runs.update(caller, run_id, id, rows).await;
                    updated.map_err(|error| form.locate(error))?
                }
            };
            Ok(UpdateResponse {
                model: Some(described.into()),
            })
        })
        .await
    }

    async fn list_models(
        &self,
        request: Request<ListModelsRequest>,
    ) -> Result<Response<ListModelsResponse>, Status> {
        answer(async {
            let caller = caller(request.extensions())?;
            let request = request.into_inner();
            let page_size = page::size(request.page_size)?;
            let after = page::read_token(&request.page_token, RunId::parse)?;
            let page = self.runs.list(caller, after.as_ref(), page_size).await?;
            let last = page.runs.last().map(|last| last.run_id.as_str());
            let next_page_token = page::next_token(last, page.more);
            Ok(ListModelsResponse {
                models: page.runs.into_iter().map(Into::into).collect(),
                next_page_token,
            })
        })
        .await
    }

    async fn get_model(
        &self,
        request: Request<GetModelRequest>,
    ) -> Result<Response<GetModelResponse>, Status> {
        answer(async {
            let caller = caller(request.extensions())?;
            let request = request.into_inner();
            let run_id = RunId::parse(request.run_id)?;
            let version = version::receive(request.version, "version")?;
            let described = self.runs.describe(caller, run_id.clone(), version).await?;
            let mut unknown = self.runs.unknown_features(&caller, &run_id).await?;
            let known = described.model.features().schema.features();
            unknown.retain(|name, _| !known.contains(name));
            let mut response = GetModelResponse::from(described);
            response.unknown_features = unknown.into_iter().map(Into::into).collect();
            Ok(response)
        })
        .await
    }

    async fn delete_run(
        &self,
        request: Request<DeleteRunRequest>,
    ) -> Result<Response<DeleteRunResponse>, Status> {
        answer(async {
            let caller = caller(request.extensions())?;
            let run_id = RunId::parse(request.into_inner().run_id)?;
            let n_versions = self.runs.delete(caller, run_id).await?;
            Ok(DeleteRunResponse {
                n_versions: Some(u32::try_from(n_versions).unwrap_or(u32::MAX)),
            })
        })
        .await
    }
}

/// The caller, as the server's layers have identified it.
pub(super) fn caller(extensions: &Extensions) -> Result<Caller> {
    let owner = extensions
        .get::<Owner>()
        .ok_or_else(|| Error::new(reason::INTERNAL, "a request came through without an owner"))?;
    Ok(Caller {
        owner: *owner,
        deadline: extensions.get::<Deadline>().map(|deadline| deadline.0),
    })
}

/// Puts the field of a training error below `spec`, unless it is one of the records.
fn in_spec(error: Error) -> Error {
    match error.field_path() {
        Some(field) if field == "records" || field.starts_with("records.") => error,
        _ => error.within("spec"),
    }
}
