//! Termination by a signal, and a second server on the same folder.

use std::net::SocketAddr;
use std::time::Duration;

use anomalyd::proto::v1::predict_stream_request::Part;
use anomalyd::proto::v1::{
    GetDatasetRequest, ListModelsRequest, PredictRequest, PredictStreamHeader, PredictStreamRequest,
};
use tokio_stream::StreamExt as _;
use tonic::{Code, Status};

use crate::kill::datasets;
use crate::kill::load::{self, Known, rows};
use crate::kill::process::{self, Client, Process};

#[tokio::test(flavor = "multi_thread")]
async fn a_termination_under_load_drains_and_loses_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut known = Known::default();
    for seed in 0..3 {
        let mut server = Process::spawn(folder.path());
        let address = server.address();
        known
            .check(&mut process::client(address, "alice").await, "run")
            .await;
        let client = process::client(address, "alice").await;
        let writer = tokio::spawn(load::write(client, "run".to_owned(), known, seed));
        tokio::time::sleep(Duration::from_millis(100)).await;
        let status = server.terminate();
        assert!(status.success(), "{status}: {}", server.rest_of_log());
        known = writer.await.expect("the client got sane answers");
        // what was begun was answered, so what was not answered was not done
        known.in_flight = None;
    }
    let mut server = Process::spawn(folder.path());
    let mut client = process::client(server.address(), "alice").await;
    known.check(&mut client, "run").await;
}

/// Calls one method after the other until the server is gone. Returns the last error, and the numbers of the datasets that were
/// acknowledged.
async fn call_until_it_is_gone(address: SocketAddr, caller: u64) -> (Status, Vec<u64>) {
    let mut client = process::client(address, "alice").await;
    let mut uploader = process::dataset_client(address, "alice").await;
    let mut uploaded = Vec::new();
    for call in 0.. {
        let outcome = match caller % 3 {
            0 => {
                let request = PredictRequest {
                    run_id: "run".to_owned(),
                    records: Some(rows(100, call)),
                    ..PredictRequest::default()
                };
                client.predict(request).await.map(drop)
            }
            1 => {
                let header = PredictStreamHeader {
                    run_id: "run".to_owned(),
                    ..PredictStreamHeader::default()
                };
                let parts = [
                    Part::Header(header),
                    Part::Records(rows(50, call)),
                    Part::Records(rows(50, call)),
                    Part::End(Default::default()),
                ];
                let parts = parts.map(|part| PredictStreamRequest { part: Some(part) });
                let slowly = tokio_stream::iter(parts).throttle(Duration::from_millis(10));
                client.predict_stream(slowly).await.map(drop)
            }
            _ => {
                let number = caller * 1_000_000 + call;
                let outcome = datasets::upload(&mut uploader, number).await;
                outcome.map(|_| uploaded.push(number))
            }
        };
        if let Err(status) = outcome {
            return (status, uploaded);
        }
    }
    unreachable!("it does not end by itself")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_termination_under_mixed_load_answers_every_caller() {
    const CALLERS: u64 = 12;
    const PATIENCE: Duration = Duration::from_secs(60);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut server = Process::spawn(folder.path());
    let address = server.address();
    let mut client = process::client(address, "alice").await;
    load::train(&mut client, "run", 1).await.expect("trains");
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| tokio::spawn(call_until_it_is_gone(address, caller)))
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let status = server.terminate();
    assert!(status.success(), "{status}: {}", server.rest_of_log());
    let mut acknowledged = Vec::new();
    for caller in callers {
        let answered = tokio::time::timeout(PATIENCE, caller).await;
        let (status, uploaded) = answered.expect("nobody is left waiting").expect("no panic");
        // what the connection ends with before a call is sent has no details: nothing that was accepted is cut
        let is_told = match status.code() {
            Code::Unavailable => true,
            Code::Cancelled => status.details().is_empty(),
            _ => false,
        };
        assert!(is_told, "{status:?}");
        acknowledged.extend(uploaded);
    }
    assert!(!acknowledged.is_empty(), "there was something to lose");

    let mut server = Process::spawn(folder.path());
    let mut client = process::dataset_client(server.address(), "alice").await;
    for number in acknowledged {
        let request = GetDatasetRequest {
            dataset_id: number.to_string(),
        };
        let found = client.get_dataset(request).await.expect("it is kept");
        let found = found.into_inner().dataset.expect("described");
        assert_eq!(found.n_rows, datasets::n_rows(number));
    }
}

#[test]
fn a_second_signal_ends_the_server_at_once_with_its_own_exit_code() {
    for (signal, code) in [("-TERM", 143), ("-INT", 130)] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut server = Process::spawn_with(folder.path(), &["--drain-delay", "10m"]);
        server.address();
        server.signal("-TERM");
        server.logged("signal received");
        server.signal(signal);
        let status = server.exit();
        assert_eq!(status.code(), Some(code), "{}", server.rest_of_log());
    }
}

/// Makes the server log more lines than a pipe and the queue before it hold.
async fn fill_the_log(client: &mut Client) {
    for _ in 0..1000 {
        let answer = client.list_models(ListModelsRequest::default()).await;
        answer.expect("it is served");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_closed_or_not_read_holds_up_nothing() {
    for is_closed in [true, false] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut server = Process::spawn_with(folder.path(), &["--log-level", "trace"]);
        let mut client = process::client(server.address(), "alice").await;
        if is_closed {
            server.close_log();
        }
        fill_the_log(&mut client).await;
        assert!(server.terminate().success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_were_lost_are_counted_once_the_log_is_read_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut server = Process::spawn_with(folder.path(), &["--log-level", "trace"]);
    let mut client = process::client(server.address(), "alice").await;
    fill_the_log(&mut client).await;
    let rest = server.logged("log lines were lost");
    let (_, n_lines) = rest.rsplit_once('=').expect("it says how many");
    assert!(
        n_lines.trim().parse::<u64>().expect("a number") > 0,
        "{rest}"
    );
}

#[test]
fn a_second_server_on_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut first = Process::spawn(folder.path());
    first.address();
    let mut second = Process::spawn(folder.path());
    let status = second.exit();
    let log = second.rest_of_log();
    assert!(!status.success());
    assert!(log.contains("another process"), "{log}");
    assert!(first.terminate().success());
}
