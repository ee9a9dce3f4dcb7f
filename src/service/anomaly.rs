//! `anomaly.v1.AnomalyService`.

use std::sync::Arc;

use tonic::{Extensions, Request, Response, Status, Streaming};

use super::convert::answer_options::{AnswerOptions, ListedRows};
use super::convert::prediction::Answer;
use super::convert::{fingerprint, records, training, version};
use super::predict_dataset::Pages;
use super::status::answer;
use super::{page, predict_dataset, predict_stream};
use crate::caller::{Deadline, Presence};
use crate::compute::Admission;
use crate::error::{Error, Result, reason};
use crate::memory::{AnswerMemory, RequestMemory};
use crate::operations::{Begun, Kind, Operations, Plan};
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
    operations: Arc<Operations>,
    metrics: Arc<Metrics>,
}

impl<S: Store> AnomalyGrpc<S> {
    /// A service for these runs; trainings and updates are `operations`, and `metrics` counts what predictions find.
    pub fn new(runs: Arc<Runs<S>>, operations: Arc<Operations>, metrics: Arc<Metrics>) -> Self {
        Self {
            runs,
            operations,
            metrics,
        }
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
            let presence = presence(request.extensions());
            let caller = caller(request.extensions())?;
            let memory = request_memory(request.extensions())?;
            let mut request = request.into_inner();
            let records = request.records.take();
            let id = RequestId::parse(&request.request_id, "Train", |fingerprint| {
                fingerprint::add_message(fingerprint, &request, &memory)?;
                fingerprint::add_records(fingerprint, records.as_ref(), &memory)
            })?;
            let run_id = RunId::parse(request.run_id)?;
            let plan = Plan::new(caller.owner, Kind::Train, run_id.as_str(), id.as_ref());
            let made_before = || self.runs.made_before(&caller, &run_id, id.as_ref());
            let described = match self.operations.begin(plan, made_before).await? {
                Begun::Made(described) => described,
                Begun::Lead(lead) => {
                    let caller = lead.caller(caller);
                    let work = async {
                        let like = self.like(caller, &run_id, request.like_version).await?;
                        let like = like.as_deref();
                        let known_texts = like.map(Model::text_columns).unwrap_or_default();
                        let rows = records::optional(records, &known_texts, &memory)?;
                        let spec = request.spec.unwrap_or_default();
                        let spec = training::receive(spec, like.map(Model::spec));
                        let spec = spec.map_err(|error| error.within("spec"))?;
                        let form = rows.as_ref().map(|rows| rows.source.form());
                        let operation = lead.operation();
                        let training = self.runs.train(caller, run_id, id, spec, rows, operation);
                        training.await.map_err(|error| match form {
                            Some(form) => in_spec(form.locate(error)),
                            None => in_spec(error),
                        })
                    };
                    lead.run(&presence, work).await?
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
            let memory = request_memory(request.extensions())?;
            let answer_memory = answer_memory(request.extensions())?;
            let request = request.into_inner();
            let run_id = RunId::parse(request.run_id)?;
            let version = version::receive(request.version, "version")?;
            let options = AnswerOptions::try_from(request.answer);
            let options = options.map_err(|error| error.within("answer"))?;
            let scorer = self.runs.scorer(caller, run_id, version).await?;
            let known_texts = scorer.model.text_columns();
            let rows = records::required(request.records, &known_texts, &memory)?;
            let predictions = Answer::new(scorer.clone(), options, ListedRows::All, answer_memory);
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
            let memory = request_memory(request.extensions())?;
            let answer_memory = answer_memory(request.extensions())?;
            let messages = request.into_inner();
            let runs = &self.runs;
            let predictions =
                predict_stream::score(runs, caller, messages, &memory, answer_memory).await?;
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
            let memory = answer_memory(request.extensions())?;
            let request = request.into_inner();
            let metrics = Arc::clone(&self.metrics);
            Ok(predict_dataset::pages(&self.runs, caller, request, memory, metrics).await?)
        })
        .await
    }

    async fn update(
        &self,
        request: Request<UpdateRequest>,
    ) -> Result<Response<UpdateResponse>, Status> {
        answer(async {
            let presence = presence(request.extensions());
            let caller = caller(request.extensions())?;
            let memory = request_memory(request.extensions())?;
            let mut request = request.into_inner();
            let records = request.records.take();
            let id = RequestId::parse(&request.request_id, "Update", |fingerprint| {
                fingerprint::add_message(fingerprint, &request, &memory)?;
                fingerprint::add_records(fingerprint, records.as_ref(), &memory)
            })?;
            let run_id = RunId::parse(request.run_id)?;
            let plan = Plan::new(caller.owner, Kind::Update, run_id.as_str(), id.as_ref());
            let made_before = || self.runs.made_before(&caller, &run_id, id.as_ref());
            let described = match self.operations.begin(plan, made_before).await? {
                Begun::Made(described) => described,
                Begun::Lead(lead) => {
                    let caller = lead.caller(caller);
                    let work = async {
                        let active = VersionSelector::Active;
                        let active = self.runs.scorer(caller, run_id.clone(), active).await?;
                        let known_texts = active.model.text_columns();
                        let rows = records::required(records, &known_texts, &memory)?;
                        let form = rows.source.form();
                        let operation = lead.operation();
                        let updating = self.runs.update(caller, run_id, id, rows, operation);
                        updating.await.map_err(|error| form.locate(error))
                    };
                    lead.run(&presence, work).await?
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

/// Whether the caller still waits, as the server's layers see it.
pub(super) fn presence(extensions: &Extensions) -> Presence {
    extensions.get().cloned().unwrap_or_default()
}

/// The memory of the request, as the server's layers count it.
pub(super) fn request_memory(extensions: &Extensions) -> Result<RequestMemory> {
    extensions.get().cloned().ok_or_else(|| {
        Error::new(
            reason::INTERNAL,
            "a request came through without its memory",
        )
    })
}

/// The memory of its answer.
fn answer_memory(extensions: &Extensions) -> Result<AnswerMemory> {
    extensions.get().cloned().ok_or_else(|| {
        Error::new(
            reason::INTERNAL,
            "a request came through without the memory of its answer",
        )
    })
}

/// Puts the field of a training error below `spec`, unless it is one of the records.
fn in_spec(error: Error) -> Error {
    match error.field_path() {
        Some(field) if field == "records" || field.starts_with("records.") => error,
        _ => error.within("spec"),
    }
}
