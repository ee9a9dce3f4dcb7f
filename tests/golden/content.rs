//! What is in such a store.

use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::training_spec::Detector;
use anomalyd::proto::v1::{
    AnswerRows, DeleteRunRequest, Detail, FeatureEngineering, FeaturePolicy, Gaussian,
    GetDatasetRequest, IsolationForest, PredictRequest, Predictions, Records, TrainRequest,
    TrainingSpec,
};
use serde_json::{Value, json};

use crate::grpc::datasets;
use crate::grpc::detectors;
use crate::grpc::harness::{
    Server, answer, by, get_model, in_form, normal_rows, predict_request, predicted, rows,
    train_as, trained, update,
};
use crate::grpc::supervised;

pub(super) const OWNER: &str = "alice";

const CSV: &str = "x,y\n1,2\n3,5\n2,2\n8,1\n";

/// Numbers, categories, missing values and labels.
fn purchases(n: usize, seed: u64) -> Records {
    let shops = ["bakery", "kiosk", "tailor"];
    let values = normal_rows(n, seed);
    let row = |(row, value): (usize, &[f64])| {
        let y = (row % 10 > 0).then_some(value[1]);
        json!({"x": value[0], "y": y, "shop": shops[row % 3], "bad": u8::from(value[0] > 1.0)})
    };
    rows(Value::Array(
        values.chunks(2).enumerate().map(row).collect(),
    ))
}

/// An hourly series.
fn readings(n: usize, seed: u64) -> Records {
    let values = normal_rows(n, seed);
    let row = |(hour, value): (usize, &[f64])| {
        let time = format!("2026-01-{:02}T{:02}:00:00Z", 1 + hour / 24, hour % 24);
        json!({"time": time, "value": value[0]})
    };
    rows(Value::Array(
        values.chunks(2).enumerate().map(row).collect(),
    ))
}

/// The trainings, each of a run of its own, and the rows that the run is asked about.
fn trainings() -> Vec<(TrainRequest, Records)> {
    let detectors = detectors::all().into_iter().chain(supervised::all());
    let mut trainings: Vec<_> = detectors
        .map(|(run_id, detector)| {
            let spec = TrainingSpec {
                label_column: "bad".to_owned(),
                ..by(detector)
            };
            (train_as(run_id, purchases(120, 1), spec), purchases(30, 2))
        })
        .collect();
    let engineered = TrainingSpec {
        time_column: "time".to_owned(),
        feature_engineering: Some(FeatureEngineering {
            lags: vec![1, 2],
            rolling_windows: vec![3],
            ..FeatureEngineering::default()
        }),
        ..by(Detector::IsolationForest(IsolationForest::default()))
    };
    trainings.push((
        train_as("engineered", readings(100, 3), engineered),
        readings(30, 4),
    ));
    let adaptive = TrainingSpec {
        feature_policy: FeaturePolicy::Adaptive.into(),
        ignore_columns: vec!["bad".to_owned()],
        ..by(Detector::Gaussian(Gaussian::default()))
    };
    let once = TrainRequest {
        request_id: "once".to_owned(),
        ..train_as(UPDATED, purchases(100, 5), adaptive)
    };
    trainings.push((once, purchases(30, 2)));
    trainings
}

/// The run whose second version is an update.
const UPDATED: &str = "updated";

/// A run that was deleted after its first version.
const DELETED: &str = "deleted";

/// Writes it all through a server.
pub(super) async fn write(server: &Server) {
    let mut client = server.client(OWNER).await;
    for (request, _) in trainings() {
        trained(&mut client, request).await;
    }
    let updated = update(&mut client, UPDATED, purchases(50, 6)).await;
    updated.expect("updated");
    trained(
        &mut client,
        train_as(DELETED, purchases(50, 7), TrainingSpec::default()),
    )
    .await;
    let request = DeleteRunRequest {
        run_id: DELETED.to_owned(),
    };
    client.delete_run(request).await.expect("deleted");
    let mut client = datasets::client(server, OWNER).await;
    let uploaded = datasets::upload(&mut client, "table", CSV.as_bytes()).await;
    uploaded.expect("uploaded");
}

/// The answer of each run.
pub(super) async fn answers(server: &Server) -> Vec<(String, Predictions)> {
    let mut client = server.client(OWNER).await;
    let mut answers = Vec::new();
    for (training, asked) in trainings() {
        let request = PredictRequest {
            answer: answer(AnswerRows::All, Detail::Score),
            ..predict_request(&training.run_id, asked)
        };
        let predictions = predicted(&mut client, request).await.expect("predicts");
        answers.push((training.run_id, predictions));
    }
    answers
}

/// Checks what the answers do not show.
pub(super) async fn check_the_rest(server: &Server) {
    let mut client = server.client(OWNER).await;
    let (once, _) = trainings().pop().expect("the last one");
    let again = trained(&mut client, once).await;
    assert_eq!(again.version, 1, "it is answered, and not done again");
    let active = get_model(&mut client, UPDATED).await.expect("there");
    assert_eq!((active.version, active.n_rows), (2, 150));

    let next = trained(
        &mut client,
        train_as(DELETED, purchases(50, 7), TrainingSpec::default()),
    )
    .await;
    assert_eq!(next.version, 2, "numbers are never given again");

    let mut datasets = datasets::client(server, OWNER).await;
    let request = GetDatasetRequest {
        dataset_id: "table".to_owned(),
    };
    let described = datasets
        .get_dataset(request)
        .await
        .expect("there")
        .into_inner();
    assert_eq!(described.dataset.expect("described").n_rows, 4);
    let from_dataset = in_form(Form::DatasetId("table".to_owned()));
    trained(
        &mut client,
        train_as("of a dataset", from_dataset, TrainingSpec::default()),
    )
    .await;
}
