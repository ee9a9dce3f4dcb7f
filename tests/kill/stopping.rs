//! Termination by a signal, and a second server on the same folder.

use std::time::Duration;

use anomalyd::proto::v1::ListModelsRequest;

use crate::kill::load::{self, Known};
use crate::kill::process::{self, Process};

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
    }
    let mut server = Process::spawn(folder.path());
    let mut client = process::client(server.address(), "alice").await;
    known.check(&mut client, "run").await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_closed_or_not_read_holds_up_nothing() {
    for is_closed in [true, false] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut server = Process::spawn_with(folder.path(), &["--log-level", "trace"]);
        let mut client = process::client(server.address(), "alice").await;
        if is_closed {
            server.close_log();
        }
        // more lines than a pipe and the queue before it hold
        for _ in 0..1000 {
            let answer = client.list_models(ListModelsRequest::default()).await;
            answer.expect("it is served");
        }
        assert!(server.terminate().success());
    }
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
