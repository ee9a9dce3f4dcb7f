//! Every method with generated messages, plausible and hostile: no answer is a defect, every answer comes, and the server goes
//! on in the memory that it is given.
//!
//! The methods are those of the descriptors, so a new one is covered at once. `GENERATED_SECONDS` makes it go on for so long, and
//! `GENERATED_SEED` repeats the messages of another run.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anomalyd::proto::v1::training_spec::Detector;
use anomalyd::proto::v1::upload_dataset_request::Part;
use anomalyd::proto::v1::{
    Gaussian, IsolationForest, PredictResponse, RandomForest, TrainingSpec, UploadDatasetChunk,
    UploadDatasetEnd, UploadDatasetHeader, UploadDatasetRequest,
};
use bytes::Bytes;
use prost::Message;
use prost_reflect::{DynamicMessage, MethodDescriptor};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tonic::Code;
use tonic_types::StatusExt as _;

use super::messages::{DATASETS, Generator, RUNS};
use super::program::Program;
use super::raw::{self, Answer, Connection};
use crate::grpc::harness::{by, normal_rows, predict_request, rows, train_as, train_request, xy};
use crate::settings::setting;

/// How many callers there are at once.
const CALLERS: u64 = 3;

/// The calls of each in the short form.
const CALLS: usize = 150;

/// After so many calls, what was deleted is made again.
const CALLS_BETWEEN: usize = 25;

const DEADLINE: Duration = Duration::from_secs(10);

/// What the server may hold: 256 MiB each of requests and of datasets, 64 MiB each of answers and of models, and what its threads
/// work with.
const MOST_BYTES: u64 = 1 << 30;

/// How many calls of each method had each code.
type Counts = BTreeMap<(String, String), usize>;

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "shown to repeat a run that fails")]
async fn generated_messages_cause_no_defect() {
    let seconds: Option<u64> = setting("GENERATED_SECONDS");
    let seed = setting("GENERATED_SEED").unwrap_or_else(|| RandomState::new().hash_one(CALLS));
    println!("GENERATED_SEED={seed}");
    let folder = tempfile::tempdir().expect("a folder");
    let limits = [
        "--request-memory-bytes=256MiB",
        "--answer-memory-bytes=64MiB",
        "--dataset-memory-bytes=256MiB",
        "--model-cache-bytes=64MiB",
        "--max-dataset-bytes=16MiB",
    ];
    let mut server = Program::serve(folder.path(), &limits, &[]);
    let address = server.address().await;
    let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| tokio::spawn(call_on(address, seed.wrapping_add(caller), end)))
        .collect();
    let mut counts = Counts::new();
    for caller in callers {
        for (key, n) in caller.await.expect("sane answers") {
            *counts.entry(key).or_default() += n;
        }
    }
    for ((method, code), n) in &counts {
        println!("{n:7} {method} {code}");
    }
    for method in raw::methods() {
        let called = counts.keys().any(|(name, _)| name == method.full_name());
        assert!(called, "{} was not called", method.full_name());
    }
    let n_all: usize = counts.values().sum();
    let done = counts.iter().filter(|((_, code), _)| code == "Ok");
    let n_done: usize = done.map(|(_, n)| n).sum();
    assert!(
        n_done * 20 > n_all,
        "{n_done} of {n_all} get past the checks"
    );

    assert!(server.runs());
    serves_as_before(address).await;
    let peak = server.peak_bytes();
    println!(
        "{n_all} calls, {n_done} of them done, at most {} MiB",
        peak >> 20
    );
    assert!(peak < MOST_BYTES, "it held {peak} bytes");
    server.terminate();
    let (status, output) = server.ended().await;
    assert!(status.success(), "{status}: {output}");
    assert!(!output.contains("panic"), "{output}");
}

/// Calls random methods until the end, or in the short form so many times.
async fn call_on(address: SocketAddr, seed: u64, end: Option<Instant>) -> Counts {
    let methods = raw::methods();
    let mut generator = Generator::new(seed);
    let mut connection = Connection::open(address).await;
    let mut counts = Counts::new();
    for call in 0.. {
        if call % CALLS_BETWEEN == 0 {
            let is_over = end.map_or(call >= CALLS, |end| Instant::now() >= end);
            if is_over {
                break;
            }
            make_what_calls_name(&mut connection).await;
        }
        // each once, then any
        let method = methods
            .get(call)
            .unwrap_or_else(|| generator.method(&methods));
        let messages = generator.call(method);
        let deadline = match generator.below(20) {
            0 => Duration::from_millis(2),
            _ => DEADLINE,
        };
        let bearer = "Bearer generated";
        let answer = connection.call(method, bearer, deadline, &messages).await;
        check(method, &answer, &format!("seed {seed}, call {call}"));
        let code = format!("{:?}", answer.status.code());
        *counts
            .entry((method.full_name().to_owned(), code))
            .or_default() += 1;
    }
    counts
}

/// Checks that an answer is of the type of the method, or a refusal with all that one must have.
fn check(method: &MethodDescriptor, answer: &Answer, place: &str) {
    let status = &answer.status;
    let place = format!("{place}, {}: {status:?}", method.full_name());
    if status.code() != Code::Ok {
        let is_defect = matches!(
            status.code(),
            Code::Internal | Code::Unknown | Code::DataLoss | Code::Unimplemented
        );
        assert!(!is_defect, "{place}");
        let details = status.get_error_details();
        let info = details.error_info();
        let domain = info.map(|info| info.domain.as_str());
        assert_eq!(domain, Some("anomalyd"), "{place}");
        assert!(!status.message().is_empty(), "{place}");
    }
    for message in &answer.messages {
        let decoded = DynamicMessage::decode(method.output(), message.clone());
        assert!(decoded.is_ok(), "{place}: {decoded:?}");
    }
}

/// Makes the runs and datasets that generated messages name, unless they are there.
async fn make_what_calls_name(connection: &mut Connection) {
    let bearer = "Bearer generated";
    let [numbers, shops, labels, _] = RUNS;
    let shop = |i: i32| if i % 2 == 0 { "bar" } else { "kiosk" };
    let shop_rows = (0..40).map(|i| json!({"x": i % 7, "y": i, "shop": shop(i)}));
    let label_rows =
        (0..40).map(|i| json!({"x": i % 7, "y": i % 3, "label": u8::from(i % 5 == 0)}));
    let gaussian = by(Detector::Gaussian(Gaussian::default()));
    let small_forest = IsolationForest {
        n_estimators: Some(5),
        ..IsolationForest::default()
    };
    let by_labels = TrainingSpec {
        label_column: "label".to_owned(),
        ..by(Detector::RandomForest(RandomForest {
            n_estimators: Some(5),
            ..RandomForest::default()
        }))
    };
    let trainings = [
        train_as(numbers, xy(normal_rows(60, 1)), gaussian),
        train_as(
            shops,
            rows(shop_rows.collect()),
            by(Detector::IsolationForest(small_forest)),
        ),
        train_as(labels, rows(label_rows.collect()), by_labels),
    ];
    for training in trainings {
        let message = Bytes::from(training.encode_to_vec());
        let method = raw::method("AnomalyService/Train");
        let answer = connection.call(&method, bearer, DEADLINE, &[message]).await;
        // the calls of others may have deleted it meanwhile, or take up all room
        let is_sane = matches!(
            answer.status.code(),
            Code::Ok | Code::Aborted | Code::ResourceExhausted | Code::DeadlineExceeded
        );
        assert!(is_sane, "{:?}", answer.status);
    }
    for dataset_id in &DATASETS[..2] {
        let method = raw::method("DatasetService/UploadDataset");
        let messages = upload(dataset_id, b"x,y\n1,2\n3,4\n5,6.5\n-1,8\n");
        let answer = connection.call(&method, bearer, DEADLINE, &messages).await;
        let is_sane = matches!(
            answer.status.code(),
            Code::Ok
                | Code::AlreadyExists
                | Code::Aborted
                | Code::ResourceExhausted
                | Code::DeadlineExceeded
        );
        assert!(is_sane, "{:?}", answer.status);
    }
}

/// The messages that upload a file.
pub(crate) fn upload(dataset_id: &str, content: &[u8]) -> Vec<Bytes> {
    let header = UploadDatasetHeader {
        dataset_id: dataset_id.to_owned(),
        ..UploadDatasetHeader::default()
    };
    let chunk = UploadDatasetChunk {
        offset: 0,
        data: content.to_vec().into(),
    };
    let end = UploadDatasetEnd {
        sha256: Sha256::digest(content).to_vec().into(),
        size_bytes: None,
    };
    [Part::Header(header), Part::Chunk(chunk), Part::End(end)]
        .map(|part| UploadDatasetRequest { part: Some(part) }.encode_to_vec())
        .map(Bytes::from)
        .to_vec()
}

/// A plain training and a prediction by another caller.
async fn serves_as_before(address: SocketAddr) {
    let mut connection = Connection::open(address).await;
    let training = train_request("run", xy(normal_rows(200, 2)));
    let prediction = predict_request("run", xy(vec![0.0, 5.0, 90.0, -90.0]));
    let requests = [
        ("AnomalyService/Train", training.encode_to_vec()),
        ("AnomalyService/Predict", prediction.encode_to_vec()),
    ];
    let mut answers = Vec::new();
    for (name, message) in requests {
        let method = raw::method(name);
        let message = [Bytes::from(message)];
        let answer = connection
            .call(&method, "Bearer plain", 6 * DEADLINE, &message)
            .await;
        assert_eq!(answer.status.code(), Code::Ok, "{:?}", answer.status);
        answers = answer.messages;
    }
    let predicted = PredictResponse::decode(answers.remove(0)).expect("an answer");
    let predictions = predicted.predictions.expect("predictions");
    assert_eq!(predictions.is_anomaly, [false, true]);
}
