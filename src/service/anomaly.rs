//! `anomaly.v1.AnomalyService`.

use std::sync::Arc;

use tonic::{Extensions, Request, Response, Status, Streaming};

use super::convert::prediction::{Answer, Detail};
use super::convert::records::{self, Input};
use super::convert::train;
use super::dataset_tables::{DatasetTables, MAX_HELD_CELLS};
use super::feed::Feed;
use super::status::answer;
use super::{page, predict_stream};
use crate::caller::Deadline;
use crate::compute::Admission;
use crate::datasets::Datasets;
use crate::error::{Error, Kind, Result, reason};
use crate::proto::v1::anomaly_service_server::AnomalyService;
use crate::proto::v1::{
    DeleteRunRequest, DeleteRunResponse, GetModelRequest, GetModelResponse, ListModelsRequest,
    ListModelsResponse, PredictRequest, PredictResponse, PredictStreamRequest,
    PredictStreamResponse, TrainRequest, TrainResponse, UpdateRequest, UpdateResponse,
};
use crate::runs::{Caller, RequestId, RunId, Runs, TrainRows, VersionSelector};
use crate::store::{Owner, Store};
use crate::telemetry::Metrics;
use anomaly_detection::pipeline::{TableSource as _, TrainSpec};
use anomaly_detection::table::MAX_CELLS;

/// The service over the runs of a store.
#[derive(Debug)]
pub struct AnomalyGrpc<S> {
    runs: Arc<Runs<S>>,
    datasets: Arc<Datasets<S>>,
    metrics: Arc<Metrics>,
    reservoir_size: usize,
}

impl<S: Store> AnomalyGrpc<S> {
    /// A service over runs, which learn from and score datasets, too; `metrics` counts what predictions find.
    /// `reservoir_size` is how many raw rows each model keeps for updates.
    pub fn new(
        runs: Arc<Runs<S>>,
        datasets: Arc<Datasets<S>>,
        metrics: Arc<Metrics>,
        reservoir_size: usize,
    ) -> Self {
        Self {
            runs,
            datasets,
            metrics,
            reservoir_size,
        }
    }

    /// The rows that a training learns from. A large dataset is walked over where the detector can learn so.
    async fn rows_to_train(
        &self,
        caller: Caller,
        spec: &TrainSpec,
        input: Option<Input>,
    ) -> Result<TrainRows> {
        let Some(input) = input else {
            return Ok(TrainRows::None);
        };
        let mut draw = spec.draw();
        if let Input::Dataset(id, known_texts) = &input {
            let at_id = |error: Error| error.at("records.dataset_id");
            let open = self.datasets.open(&caller, id).await.map_err(at_id)?;
            let tables = DatasetTables::new(open, known_texts);
            let n_rows = tables.n_rows();
            draw = draw.filter(|draw| draw.n < n_rows);
            let n_cells = tables.n_cells(draw.map_or(n_rows, |draw| draw.n));
            if draw.is_none() && n_cells > MAX_HELD_CELLS && spec.detector.can_stream() {
                let share = self
                    .datasets
                    .reader_share(tables.summary(), Admission::Refuse)
                    .await?;
                return Ok(TrainRows::Tables(Box::new(tables), share));
            }
            if n_cells > MAX_CELLS as u64 {
                return Err(match draw {
                    Some(draw) => Error::field(
                        "sample_rows",
                        format!(
                            "{} rows of the dataset {:?} are {n_cells} values, more than the {MAX_CELLS} that can be held; give \
                             fewer sample_rows",
                            draw.n,
                            id.as_str()
                        ),
                    ),
                    None => {
                        let dataset = format!("the dataset {:?}", id.as_str());
                        at_id(spec.detector.cannot_stream().during(&dataset))
                    }
                });
            }
        }
        let (table, share) = input
            .table(&self.datasets, caller, draw, Admission::Refuse)
            .await?;
        Ok(TrainRows::Table(table, share))
    }

    /// The rows of a dataset as a whole, which training sorts. Fails with `unsorted` where they are too many to be held.
    async fn held(&self, caller: Caller, dataset: Input, unsorted: Error) -> Result<TrainRows> {
        let whole = dataset.table(&self.datasets, caller, None, Admission::Refuse);
        match whole.await {
            Ok((table, share)) => Ok(TrainRows::Table(table, share)),
            Err(too_large) if too_large.kind() == Kind::InvalidArgument => Err(unsorted),
            Err(error) => Err(error),
        }
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
            let run_id = RunId::parse(request.run_id.clone())?;
            let request_id = RequestId::parse(request.request_id.clone())?;
            if let Some(described) = self
                .runs
                .made_before(&caller, &run_id, request_id.as_ref())
                .await?
            {
                return Ok(TrainResponse {
                    model: Some(described.into()),
                });
            }
            let like = match request.like_version {
                None => None,
                Some(version) => {
                    let selector = selector(version);
                    let scorer = self.runs.scorer(caller, run_id.clone(), selector).await?;
                    Some(scorer.model)
                }
            };
            let (spec, input) = train::receive(request, like.as_deref(), self.reservoir_size)?;
            // before a dataset is read for nothing
            spec.check_request(input.is_some())?;
            let dataset = match &input {
                Some(Input::Dataset(id, texts)) => Some(Input::Dataset(id.clone(), texts.clone())),
                _ => None,
            };
            let rows = self.rows_to_train(caller, &spec, input).await?;
            let train = |rows| {
                let (run_id, request_id) = (run_id.clone(), request_id.clone());
                self.runs
                    .train(caller, run_id, request_id, spec.clone(), rows)
            };
            let described = match (train(rows).await, dataset) {
                (Err(unsorted), Some(dataset)) if unsorted.reason() == reason::UNSORTED_ROWS => {
                    train(self.held(caller, dataset, unsorted).await?).await?
                }
                (outcome, _) => outcome?,
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
            let scorer = self
                .runs
                .scorer(caller, run_id, selector(request.version))
                .await?;
            let input = records::required(request.records, &scorer.model.text_columns())?;
            let default = |n_rows: u64| match n_rows {
                1 => Detail::Full,
                _ => Detail::Scores,
            };
            if let Input::Dataset(id, known_texts) = input {
                let pieces = self
                    .datasets
                    .pieces(&caller, &id, &known_texts, Admission::Refuse)
                    .await
                    .map_err(|error| error.at("records.dataset_id"))?;
                let detail = Detail::receive(request.detail, default(pieces.n_rows()))?;
                let answer = Answer::new(scorer.clone(), detail, None);
                answer.check_room(pieces.n_rows())?;
                let feed = Feed::new(caller, scorer, answer);
                let answer = feed.of_dataset(pieces).await?;
                self.metrics.count(answer.counts());
                return Ok(answer.into());
            }
            let (table, _share) = input
                .table(&self.datasets, caller, None, Admission::Refuse)
                .await?;
            let detail = Detail::receive(request.detail, default(table.n_rows() as u64))?;
            let mut answer = Answer::new(scorer.clone(), detail, None);
            answer.check_room(table.n_rows() as u64)?;
            let with_details = answer.wants_details();
            let scored = scorer
                .submit(Admission::Refuse, table, None, with_details)
                .await?
                .await?;
            answer.add(scored)?;
            self.metrics.count(answer.counts());
            Ok(answer.into())
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
            let answer =
                predict_stream::score(&self.runs, &self.datasets, caller, messages).await?;
            self.metrics.count(answer.counts());
            Ok(answer.into())
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
            let run_id = RunId::parse(request.run_id)?;
            let request_id = RequestId::parse(request.request_id)?;
            if let Some(described) = self
                .runs
                .made_before(&caller, &run_id, request_id.as_ref())
                .await?
            {
                return Ok(UpdateResponse {
                    model: Some(described.into()),
                });
            }
            let active = self
                .runs
                .scorer(caller, run_id.clone(), VersionSelector::Active)
                .await?;
            let input = records::required(request.records, &active.model.text_columns())?;
            let (table, _share) = input
                .table(&self.datasets, caller, None, Admission::Refuse)
                .await?;
            let described = self.runs.update(caller, run_id, request_id, table).await?;
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
            let described = self
                .runs
                .describe(caller, run_id.clone(), selector(request.version))
                .await?;
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

/// Who calls, as the layers before found out.
pub(super) fn caller(extensions: &Extensions) -> Result<Caller> {
    let owner = extensions
        .get::<Owner>()
        .ok_or_else(|| Error::new(reason::INTERNAL, "a request came through without an owner"))?;
    Ok(Caller {
        owner: *owner,
        deadline: extensions.get::<Deadline>().map(|deadline| deadline.0),
    })
}

pub(super) fn selector(version: u64) -> VersionSelector {
    match version {
        0 => VersionSelector::Active,
        number => VersionSelector::Number(number),
    }
}
