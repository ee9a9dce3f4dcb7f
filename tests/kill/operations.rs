//! Operations and a server that is killed: they do not outlive it, and the same request does their work again, once. Commands that
//! wait for them come back to it, and cancel them when they are interrupted.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anomalyd::proto::v1::operation_service_client::OperationServiceClient;
use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::training_spec::Detector;
use anomalyd::proto::v1::{
    GetModelRequest, Knn, ListOperationsRequest, Matrix, Operation, OperationState, Records,
    TrainRequest, TrainingSpec,
};

use crate::kill::process::{self, Client, Process};
use crate::settings::program;

const COLUMNS: u32 = 24;

fn value(i: u64) -> u64 {
    i * 7919 % 104_729
}

/// A training that takes a second or so.
fn training() -> TrainRequest {
    let values = (0..15_000 * u64::from(COLUMNS)).map(|i| value(i) as f64);
    let matrix = Matrix {
        n_columns: COLUMNS,
        values: values.collect(),
        ..Matrix::default()
    };
    TrainRequest {
        run_id: "run".to_owned(),
        request_id: "once".to_owned(),
        spec: Some(TrainingSpec {
            detector: Some(Detector::Knn(Knn::default())),
            ..TrainingSpec::default()
        }),
        records: Some(Records {
            form: Some(Form::Matrix(matrix)),
            ..Records::default()
        }),
        ..TrainRequest::default()
    }
}

/// Waits until an operation of alice has left the queue.
async fn begun(address: SocketAddr) -> Operation {
    let (channel, token) = process::connect(address, "alice").await;
    let mut client = OperationServiceClient::with_interceptor(channel, token);
    loop {
        let listed = client.list_operations(ListOperationsRequest::default());
        let listed = listed.await.expect("lists").into_inner().operations;
        let mut listed = listed.into_iter();
        if let Some(begun) = listed.find(|it| it.state() != OperationState::Waiting) {
            return begun;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn kept_versions(client: &mut Client) -> Vec<u64> {
    let request = GetModelRequest {
        run_id: "run".to_owned(),
        version: None,
    };
    let described = client.get_model(request).await.expect("is there");
    described.into_inner().kept_versions
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_whose_server_was_killed_is_done_again_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut server = Process::spawn(folder.path());
    let address = server.address();
    let mut client = process::client(address, "alice").await;
    let call = tokio::spawn(async move { client.train(training()).await });
    begun(address).await;
    server.kill();
    // if it was fast, it was acknowledged
    let _ = call.await.expect("no panic");

    let mut server = Process::spawn(folder.path());
    let mut client = process::client(server.address(), "alice").await;
    for _ in 0..2 {
        let answer = client.train(training()).await.expect("trains");
        let model = answer.into_inner().model.expect("described");
        assert_eq!(model.version, 1);
    }
    assert_eq!(kept_versions(&mut client).await, [1]);
    let files = std::fs::read_dir(folder.path().join("blobs"));
    assert_eq!(
        files.expect("is there").count(),
        2,
        "nothing is left behind"
    );
}

/// Trains on a file of so many rows, as a command with these options.
fn train_command(folder: &Path, socket: &str, n_rows: u64, options: &[&str]) -> Child {
    let names: Vec<String> = (0..COLUMNS).map(|column| format!("c{column}")).collect();
    let mut content = names.join(",") + "\n";
    for row in 0..n_rows {
        let first = row * u64::from(COLUMNS);
        let values = (first..first + u64::from(COLUMNS)).map(|i| value(i).to_string());
        content += &(values.collect::<Vec<_>>().join(",") + "\n");
    }
    let file = folder.join("rows.csv");
    std::fs::write(&file, content).expect("writes");
    Command::new(program())
        .args(["train", "run"])
        .arg(file)
        .args(["--detector", "knn", "--addr", &format!("unix:{socket}")])
        .args(options)
        .env("ANOMALYD_TOKEN", "alice")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_comes_back_to_a_server_that_was_killed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("socket");
    let socket = socket.to_str().expect("a path of text");
    let spawn = || Process::spawn_with(&folder.path().join("data"), &["--unix-socket", socket]);
    let mut server = spawn();
    let address = server.address();
    let command = train_command(folder.path(), socket, 15_000, &[]);
    begun(address).await;
    server.kill();
    let mut server = spawn();
    let address = server.address();
    let output = command.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(text.starts_with("run \"run\" is at version 1"), "{text}");
    let mut client = process::client(address, "alice").await;
    assert_eq!(kept_versions(&mut client).await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_command_cancels_its_work() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("socket");
    let socket = socket.to_str().expect("a path of text");
    let data = folder.path().join("data");
    let mut server = Process::spawn_with(&data, &["--unix-socket", socket]);
    let address = server.address();
    // seconds of work
    let command = train_command(folder.path(), socket, 80_000, &[]);
    let running = begun(address).await;
    assert_eq!(running.state(), OperationState::Running);
    let interrupted = Command::new("kill")
        .args(["-INT", &command.id().to_string()])
        .status();
    assert!(interrupted.expect("kill runs").success());
    let output = command.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("the work was cancelled"), "{text}");
    let ended = begun(address).await;
    assert_eq!(ended.operation_id, running.operation_id);
    assert_eq!(ended.state(), OperationState::Cancelled);
    assert!(server.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_gives_up_cancels_its_work() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("socket");
    let socket = socket.to_str().expect("a path of text");
    let data = folder.path().join("data");
    let mut server =
        Process::spawn_with(&data, &["--unix-socket", socket, "--compute-threads", "1"]);
    let address = server.address();
    // on one thread it takes longer than a second everywhere; to arrive may take longer than that, too
    let mut timeouts = [1, 2, 4, 8, 16]
        .map(|seconds: u32| seconds.to_string())
        .into_iter();
    let text = loop {
        let timeout = timeouts.next().expect("it arrives in the end");
        let command = train_command(folder.path(), socket, 80_000, &["--timeout", &timeout]);
        let output = command.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        if !text.contains("nothing had begun") {
            break text;
        }
    };
    assert!(text.contains("the work was cancelled"), "{text}");
    let ended = begun(address).await;
    assert_eq!(ended.state(), OperationState::Cancelled);
    assert!(server.terminate().success());
}
