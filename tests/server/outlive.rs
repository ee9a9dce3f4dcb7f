//! Handlers of writes whose callers leave.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tonic::Code;

use crate::server::support::{Running, TRAIN, call, train};

const AUTH: (&str, &str) = ("authorization", "Bearer alice");

/// Waits until a counter has this value.
async fn until(counter: &AtomicUsize, value: usize) {
    let counting = async {
        while counter.load(Ordering::SeqCst) != value {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let counted = tokio::time::timeout(Duration::from_secs(30), counting);
    counted.await.expect("it comes to pass");
}

/// Calls Train, and cuts the connection once the handler runs.
async fn call_and_leave(server: &Running, run_id: &'static str) {
    let addr = server.addr;
    let n_before = server.ends.messages.load(Ordering::SeqCst);
    let task = tokio::spawn(async move { call(addr, TRAIN, &[AUTH], train(run_id)).await });
    until(&server.ends.messages, n_before + 1).await;
    task.abort();
    assert!(task.await.is_err(), "it was waiting");
}

#[tokio::test]
async fn a_handler_ends_with_its_caller_unless_it_says_otherwise() {
    let mut server = Running::start(&["--drain-timeout", "100ms"]).await;
    call_and_leave(&server, "sleep").await;
    until(&server.ends.dropped, 1).await;

    call_and_leave(&server, "stay").await;
    let ends = server.ends.clone();
    until(&ends.left, 1).await;
    let answer = call(server.addr, TRAIN, &[AUTH], train("other")).await;
    assert_eq!(answer.status().code(), Code::Ok);
    assert_eq!(ends.dropped.load(Ordering::SeqCst), 1, "it goes on");

    server.stop();
    server.stopped().await;
    assert_eq!(ends.dropped.load(Ordering::SeqCst), 2, "it was cancelled");
}

#[tokio::test]
async fn what_goes_on_without_its_caller_counts_as_a_request() {
    let options = ["--max-total-streams", "1", "--drain-timeout", "100ms"];
    let mut server = Running::start(&options).await;
    call_and_leave(&server, "stay").await;
    until(&server.ends.left, 1).await;
    let refused = call(server.addr, TRAIN, &[AUTH], train("other")).await;
    assert_eq!(refused.reason(), "OVERLOADED");
    server.stop();
    server.stopped().await;
}

#[tokio::test]
async fn a_deadline_is_answered_while_the_handler_goes_on() {
    let mut server = Running::start(&["--drain-timeout", "100ms"]).await;
    let deadline = ("grpc-timeout", "200m");
    let answer = call(server.addr, TRAIN, &[AUTH, deadline], train("stay")).await;
    assert_eq!(answer.status().code(), Code::DeadlineExceeded);
    assert_eq!(answer.reason(), "DEADLINE_EXCEEDED");
    until(&server.ends.left, 1).await;
    assert_eq!(server.ends.dropped.load(Ordering::SeqCst), 0);
    server.stop();
    server.stopped().await;
}

#[tokio::test]
async fn a_panic_in_a_task_is_an_internal_error() {
    let server = Running::start(&[]).await;
    let answer = call(server.addr, TRAIN, &[AUTH], train("panic")).await;
    assert_eq!(answer.status().code(), Code::Internal);
    assert_eq!(answer.reason(), "INTERNAL");
}
