use std::sync::atomic::Ordering;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

use crate::server::support::{Running, channel, predict_as};

/// Longer than any test takes: a drain that needs it has hung.
const NEVER: &[&str] = &["--drain-timeout", "1h"];

#[tokio::test]
async fn idle_connections_and_open_watches_do_not_hold_up_a_drain() {
    let mut server = Running::start(NEVER).await;

    let mut silent = TcpStream::connect(server.addr).await.expect("connect");
    let mut health = HealthClient::new(channel(server.addr).await);
    health
        .check(HealthCheckRequest::default())
        .await
        .expect("an idle connection from here on");
    let mut watch = HealthClient::new(channel(server.addr).await)
        .watch(HealthCheckRequest::default())
        .await
        .expect("watch")
        .into_inner();
    let first = watch.next().await.expect("a status").expect("no error");
    assert_eq!(first.status(), ServingStatus::Serving);

    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    sender.send(request).await.expect("send");
    let mut reflection = ServerReflectionClient::new(channel(server.addr).await)
        .server_reflection_info(ReceiverStream::new(receiver))
        .await
        .expect("reflection")
        .into_inner();
    reflection
        .next()
        .await
        .expect("an answer")
        .expect("no error");

    server.stop();
    let second = watch.next().await.expect("a status").expect("no error");
    assert_eq!(second.status(), ServingStatus::NotServing);
    let end = watch.next().await.expect("an end").expect_err("an error");
    assert_eq!(end.code(), Code::Unavailable, "{end:?}");
    server.stopped().await;
    // the server's own settings, then the end
    let mut rest = Vec::new();
    silent.read_to_end(&mut rest).await.expect("closed");
    drop(sender);
}

#[tokio::test]
async fn requests_in_progress_finish() {
    let mut server = Running::start(NEVER).await;
    let addr = server.addr;
    let slow = tokio::spawn(async move { predict_as(addr, "alice", "slow").await });
    // long enough to be in the handler; if it is not, the test fails
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    server.stop();
    assert_eq!(slow.await.expect("no panic").echo(), "slow");
    server.stopped().await;
    assert!(
        TcpStream::connect(addr).await.is_err(),
        "nothing more is accepted"
    );
}

#[tokio::test]
async fn requests_that_do_not_finish_are_cancelled() {
    let mut server = Running::start(&["--drain-timeout", "200ms"]).await;
    let addr = server.addr;
    let ends = server.ends.clone();
    let sleeper = tokio::spawn(async move { predict_as(addr, "alice", "sleep").await });
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    server.stop();
    server.stopped().await;
    assert_eq!(
        ends.dropped.load(Ordering::SeqCst),
        1,
        "the handler was dropped before the end"
    );
    assert!(sleeper.await.is_err(), "the connection was cut");
}

#[tokio::test]
async fn during_the_drain_delay_requests_are_served_and_health_says_not_serving() {
    let mut server = Running::start(&["--drain-delay", "1s"]).await;
    let mut health = HealthClient::new(channel(server.addr).await);
    server.stop();
    loop {
        let response = health
            .check(HealthCheckRequest::default())
            .await
            .expect("check");
        if response.into_inner().status() == ServingStatus::NotServing {
            break;
        }
    }
    assert_eq!(
        predict_as(server.addr, "alice", "late").await.echo(),
        "late"
    );
    server.stopped().await;
}
