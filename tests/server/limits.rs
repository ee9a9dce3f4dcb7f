//! Limits of metadata, of requests in progress, and of the wait for them.

use std::net::SocketAddr;

use bytes::Bytes;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

use crate::server::support::{
    Answer, Connection, PREDICT, Running, call, channel, frame, predict, predict_as, unfinished,
    whole,
};

const AUTH: (&str, &str) = ("authorization", "Bearer alice");
const PREDICT_STREAM: &str = "/anomaly.v1.AnomalyService/PredictStream";

#[tokio::test]
async fn too_much_metadata_is_refused_and_other_requests_of_the_connection_go_on() {
    let server = Running::start(&[]).await;
    let connection = Connection::open(server.addr).await;
    let slow = tokio::spawn(connection.call(PREDICT, &[AUTH], whole(predict("slow"))));
    for kib in [16, 100, 200] {
        let large = "x".repeat(kib << 10);
        let headers = [AUTH, ("baggage", large.as_str())];
        let answer = connection
            .call(PREDICT, &headers, whole(predict("x")))
            .await;
        assert_eq!(answer.status().code(), Code::ResourceExhausted, "{kib} KiB");
        assert_eq!(answer.reason(), "METADATA_TOO_LARGE");
        let status = answer.status();
        assert!(status.message().contains("at most 16384"), "{status:?}");
    }
    // so much that it is not even read
    let huge = "x".repeat(300 << 10);
    let answer = connection
        .call(PREDICT, &[("baggage", &huge)], whole(predict("x")))
        .await;
    assert_eq!(
        answer.http,
        http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
    );

    let fits = "x".repeat(15 << 10);
    let answer = connection.call(PREDICT, &[AUTH, ("baggage", &fits)], whole(predict("x")));
    assert_eq!(answer.await.echo(), "x");
    assert_eq!(slow.await.expect("no panic").echo(), "slow");
}

#[tokio::test]
async fn requests_over_the_limit_of_all_connections_are_refused_until_others_end() {
    let server = Running::start(&["--max-total-streams", "2"]).await;
    let connection = Connection::open(server.addr).await;
    let sleeper = connection.sleep().await;
    let second = tokio::spawn(connection.call(PREDICT, &[AUTH], whole(predict("sleep"))));
    tokio::task::yield_now().await;
    let refused = connection.call(PREDICT, &[AUTH], whole(predict("x"))).await;
    assert!(!second.is_finished(), "it fits");
    assert_overloaded(&refused.status());
    assert_eq!(refused.reason(), "OVERLOADED");
    let mut health = HealthClient::new(channel(server.addr).await);
    let checked = health.check(HealthCheckRequest::default()).await;
    checked.expect("a busy server is healthy");

    sleeper.abort();
    while predict_as(server.addr, "carol", "x").await.status().code() != Code::Ok {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn watches_are_bounded_on_each_connection_and_in_all() {
    let server = Running::start(&["--max-total-streams", "40"]).await;
    let (first, refused) = watch_until_refused(server.addr).await;
    assert_eq!(first.len(), 16, "on one connection");
    assert_overloaded(&refused);
    let (second, refused) = watch_until_refused(server.addr).await;
    assert_eq!(second.len(), 4, "half as many as other requests, in all");
    assert_overloaded(&refused);
    let answer = predict_as(server.addr, "alice", "x").await;
    assert_eq!(answer.echo(), "x", "others are counted apart");
    let mut probe = HealthClient::new(channel(server.addr).await);
    let checked = probe.check(HealthCheckRequest::default()).await;
    checked.expect("a probe passes all the same");

    drop(first);
    while watch_until_refused(server.addr).await.0.len() < 16 {
        tokio::task::yield_now().await;
    }
}

async fn watch_until_refused(addr: SocketAddr) -> (Vec<impl Sized + use<>>, Status) {
    let mut health = HealthClient::new(channel(addr).await);
    let mut watches = Vec::new();
    loop {
        match health.watch(HealthCheckRequest::default()).await {
            Ok(watch) => watches.push(watch.into_inner()),
            Err(status) => return (watches, status),
        }
    }
}

fn assert_overloaded(status: &Status) {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert!(status.get_error_details().retry_info().is_some());
    let pushback = status.metadata().get("grpc-retry-pushback-ms");
    assert_eq!(pushback.expect("there is a delay"), "1000");
}

#[tokio::test]
async fn requests_that_do_not_arrive_are_ended() {
    let server = Running::start(&["--arrival-timeout", "1s"]).await;
    let connection = Connection::open(server.addr).await;
    let message = predict("x");
    let begun = message.slice(..message.len() - 1);
    let cases = [
        (PREDICT, unfinished(Bytes::new())),
        (PREDICT, unfinished(begun.clone())),
        // one message is the whole request, and its end is missing
        (PREDICT, unfinished(message)),
        (PREDICT_STREAM, unfinished(Bytes::new())),
        (PREDICT_STREAM, unfinished(begun)),
        ("/grpc.health.v1.Health/Watch", unfinished(Bytes::new())),
    ];
    let calls = cases.map(|(path, body)| tokio::spawn(connection.call(path, &[AUTH], body)));
    // a stream may pause after its first message
    let pausing = connection.call(PREDICT_STREAM, &[AUTH], unfinished(frame(b"")));
    let pausing = tokio::spawn(pausing);
    for call in calls {
        let answer: Answer = call.await.expect("no panic");
        assert_eq!(answer.status().code(), Code::DeadlineExceeded);
        assert_eq!(answer.reason(), "REQUEST_TIMEOUT");
    }
    assert!(!pausing.is_finished());
    let answer = call(server.addr, PREDICT_STREAM, &[AUTH], frame(b"")).await;
    assert_eq!(answer.status().code(), Code::Ok);
}
