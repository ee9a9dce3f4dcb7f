//! Clients that write, and what they know about each run from the responses.

use std::collections::BTreeMap;

use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::training_spec::Detector;
use anomalyd::proto::v1::version_selector::Choice;
use anomalyd::proto::v1::{
    DeleteRunRequest, GetModelRequest, GetModelResponse, IsolationForest, Matrix, Model,
    PredictRequest, Records, TrainRequest, TrainingSpec, UpdateRequest, VersionSelector,
};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tonic::{Code, Status};

use crate::kill::process::Client;

/// The rows of each training.
const TRAINING_ROWS: u64 = 40;

/// The rows of each update.
const UPDATE_ROWS: u64 = 10;

/// What is known about a run that only one client writes to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// The acknowledged models since the run was made, by version.
    pub(crate) acknowledged: BTreeMap<u64, Model>,
    /// The number of the last version, which survives the deletion of the run.
    pub(crate) last: u64,
    /// The request that was unanswered when the server was killed.
    pub(crate) in_flight: Option<Write>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    Train,
    Update,
    Delete,
}

/// Writes to one run, one write after the other, until the server is gone.
pub(crate) async fn write(
    mut client: Client,
    run_id: String,
    mut known: Known,
    seed: u64,
) -> Known {
    let mut rng = SmallRng::seed_from_u64(seed);
    loop {
        let write = match rng.random_range(0..10) {
            _ if known.acknowledged.is_empty() => Write::Train,
            0 => Write::Delete,
            1..=3 => Write::Train,
            _ => Write::Update,
        };
        known.in_flight = Some(write);
        let answer = match write {
            Write::Train => train(&mut client, &run_id, rng.random()).await.map(Some),
            Write::Update => update(&mut client, &run_id, rng.random()).await.map(Some),
            Write::Delete => delete(&mut client, &run_id).await.map(|()| None),
        };
        match answer {
            Ok(Some(model)) => {
                known.last += 1;
                assert_eq!(model.version, known.last, "{run_id}");
                known.acknowledged.insert(model.version, model);
            }
            Ok(None) => known.acknowledged.clear(),
            Err(status) => {
                // errors of the server have details; those of the connection have none
                assert!(
                    status.details().is_empty(),
                    "{run_id}: {write:?} answered {status:?}"
                );
                return known;
            }
        }
        known.in_flight = None;
    }
}

/// Updates a run together with other clients, until the server is gone. Returns the acknowledged
/// models.
pub(crate) async fn update_together(mut client: Client, run_id: String, seed: u64) -> Vec<Model> {
    let mut acknowledged = Vec::new();
    for seed in seed.. {
        match update(&mut client, &run_id, seed).await {
            Ok(model) => acknowledged.push(model),
            Err(status) if status.code() == Code::Aborted => {}
            Err(_) => break,
        }
    }
    acknowledged
}

impl Known {
    /// Compares the server after a restart with what is known, then takes over its state.
    pub(crate) async fn check(&mut self, client: &mut Client, run_id: &str) -> usize {
        let described = describe(client, run_id, None).await;
        let last = self.last;
        let in_flight = self.in_flight.take();
        let Some(described) = described else {
            let may_be_gone = self.acknowledged.is_empty() || in_flight == Some(Write::Delete);
            assert!(
                may_be_gone,
                "{run_id}: version {last} was acknowledged, and the run is gone; in flight {in_flight:?}"
            );
            self.acknowledged.clear();
            return 0;
        };
        let active = described.active_version;
        let writes_one = matches!(in_flight, Some(Write::Train | Write::Update));
        assert!(
            (active == last && !self.acknowledged.is_empty()) || (active == last + 1 && writes_one),
            "{run_id}: version {last} was acknowledged, {active} is there; in flight {in_flight:?}"
        );
        let oldest = self.acknowledged.keys().next().copied();
        let first = active.saturating_sub(9).max(oldest.unwrap_or(active));
        assert_eq!(
            described.kept_versions,
            (first..=active).collect::<Vec<u64>>(),
            "{run_id}"
        );
        for version in first..=active {
            let found = describe(client, run_id, Some(version))
                .await
                .and_then(|found| found.model)
                .expect("it is kept");
            predict(client, run_id, version).await;
            match self.acknowledged.get(&version) {
                Some(acknowledged) => assert_eq!(&found, acknowledged, "{run_id}"),
                None => {
                    assert_eq!(
                        version,
                        last + 1,
                        "{run_id}: only what was in flight may be new"
                    );
                    let before = self.acknowledged.get(&last).map_or(0, |model| model.n_rows);
                    let expected = if in_flight == Some(Write::Update) {
                        before + UPDATE_ROWS
                    } else {
                        TRAINING_ROWS
                    };
                    assert_eq!(found.n_rows, expected, "{run_id}: whole or not at all");
                    self.acknowledged.insert(version, found);
                    self.last = version;
                }
            }
        }
        described.kept_versions.len()
    }
}

/// Compares a run that several clients update with the models acknowledged to them.
pub(crate) async fn check_together(
    client: &mut Client,
    run_id: &str,
    acknowledged: &[Model],
) -> usize {
    let described = describe(client, run_id, None)
        .await
        .expect("nobody deletes it");
    let newest = acknowledged
        .iter()
        .map(|model| model.version)
        .max()
        .unwrap_or(1);
    assert!(
        described.active_version >= newest,
        "{} is there, {newest} was acknowledged",
        described.active_version
    );
    for &version in &described.kept_versions {
        let found = describe(client, run_id, Some(version))
            .await
            .and_then(|found| found.model)
            .expect("it is kept");
        predict(client, run_id, version).await;
        assert_eq!(
            found.n_rows,
            TRAINING_ROWS + (version - 1) * UPDATE_ROWS,
            "each update counts once"
        );
        for model in acknowledged.iter().filter(|model| model.version == version) {
            assert_eq!(&found, model);
        }
    }
    described.kept_versions.len()
}

/// Describes a version, by default the active one.
async fn describe(
    client: &mut Client,
    run_id: &str,
    version: Option<u64>,
) -> Option<GetModelResponse> {
    let request = GetModelRequest {
        run_id: run_id.to_owned(),
        version: version.map(number),
    };
    match client.get_model(request).await {
        Ok(response) => Some(response.into_inner()),
        Err(status) if status.code() == Code::NotFound => None,
        Err(status) => panic!("{run_id}: {status:?}"),
    }
}

fn number(version: u64) -> VersionSelector {
    VersionSelector {
        choice: Some(Choice::Number(version)),
    }
}

async fn predict(client: &mut Client, run_id: &str, version: u64) {
    let request = PredictRequest {
        run_id: run_id.to_owned(),
        records: Some(rows(1, version)),
        version: Some(number(version)),
        ..PredictRequest::default()
    };
    let answer = client
        .predict(request)
        .await
        .unwrap_or_else(|status| panic!("{run_id}: {status:?}"));
    let predictions = answer.into_inner().predictions.expect("answered");
    assert_eq!(
        predictions.summary.map(|summary| summary.version),
        Some(version)
    );
}

pub(crate) async fn train(client: &mut Client, run_id: &str, seed: u64) -> Result<Model, Status> {
    let request = TrainRequest {
        run_id: run_id.to_owned(),
        records: Some(rows(TRAINING_ROWS, seed)),
        spec: Some(TrainingSpec {
            detector: Some(Detector::IsolationForest(IsolationForest::default())),
            ..TrainingSpec::default()
        }),
        ..TrainRequest::default()
    };
    Ok(client
        .train(request)
        .await?
        .into_inner()
        .model
        .expect("described"))
}

async fn update(client: &mut Client, run_id: &str, seed: u64) -> Result<Model, Status> {
    let request = UpdateRequest {
        run_id: run_id.to_owned(),
        records: Some(rows(UPDATE_ROWS, seed)),
        ..UpdateRequest::default()
    };
    Ok(client
        .update(request)
        .await?
        .into_inner()
        .model
        .expect("described"))
}

async fn delete(client: &mut Client, run_id: &str) -> Result<(), Status> {
    let request = DeleteRunRequest {
        run_id: run_id.to_owned(),
    };
    client.delete_run(request).await.map(drop)
}

/// Random rows of the features `x` and `y`.
pub(super) fn rows(n: u64, seed: u64) -> Records {
    let mut rng = SmallRng::seed_from_u64(seed);
    Records {
        form: Some(Form::Matrix(Matrix {
            feature_names: vec!["x".to_owned(), "y".to_owned()],
            values: (0..2 * n).map(|_| rng.random_range(-1.0..1.0)).collect(),
            ..Matrix::default()
        })),
        ..Records::default()
    }
}
