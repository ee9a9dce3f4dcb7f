use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use anomalyd::proto::v1::anomaly_service_client::AnomalyServiceClient;
use anomalyd::proto::v1::{PredictDatasetRequest, PredictStreamRequest};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
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
async fn requests_that_do_not_finish_are_cancelled_and_end_with_their_status() {
    let mut server = Running::start(&["--drain-timeout", "200ms"]).await;
    let addr = server.addr;
    let ends = server.ends.clone();
    let sleeper = tokio::spawn(async move { predict_as(addr, "alice", "sleep").await });
    let mut client = client(addr).await;
    let uploading = tokio::spawn({
        let mut client = client.clone();
        let first = tokio_stream::once(PredictStreamRequest::default());
        async move {
            client
                .predict_stream(first.chain(tokio_stream::pending()))
                .await
        }
    });
    let mut answers = Vec::new();
    for run_id in ["paused", "endless"] {
        let request = PredictDatasetRequest {
            run_id: run_id.to_owned(),
            ..PredictDatasetRequest::default()
        };
        let answer = client.predict_dataset(request).await.expect("begins");
        let mut pages = answer.into_inner();
        pages.next().await.expect("a page").expect("no error");
        answers.push(pages);
    }
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    server.stop();

    let answer = sleeper.await.expect("an answer");
    assert_eq!(answer.status().code(), Code::Unavailable);
    assert_eq!(answer.reason(), "UNAVAILABLE");
    assert_eq!(
        ends.dropped.load(Ordering::SeqCst),
        1,
        "the handler is gone"
    );
    let upload = uploading.await.expect("no panic").expect_err("is cut off");
    let mut ended = vec![upload];
    for mut pages in answers {
        ended.push(loop {
            if let Err(status) = pages.next().await.expect("no end without a status") {
                break status;
            }
        });
    }
    for status in ended {
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert!(status.message().contains("is stopping"), "{status:?}");
    }
    server.stopped().await;
}

async fn client(addr: SocketAddr) -> AnomalyServiceClient<InterceptedService<Channel, WithToken>> {
    let with_token: WithToken = |mut request| {
        let token = MetadataValue::from_static("Bearer alice");
        request.metadata_mut().insert("authorization", token);
        Ok(request)
    };
    AnomalyServiceClient::with_interceptor(channel(addr).await, with_token)
}

type WithToken = fn(Request<()>) -> Result<Request<()>, Status>;

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
