use std::sync::atomic::Ordering;

use anomalyd::proto::v1::anomaly_service_client::AnomalyServiceClient;
use anomalyd::proto::v1::{PredictRequest, PredictStreamRequest};
use anomalyd::server::Server;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_reflection::pb::{v1, v1alpha};
use tower::service_fn;

use crate::server::support::{PREDICT, Running, call, channel, config, predict, predict_as};

const AUTH: (&str, &str) = ("authorization", "Bearer alice");

#[tokio::test]
async fn deadlines_reach_the_handler_and_answer_with_their_own_code() {
    let server = Running::start(&[]).await;
    assert_eq!(
        predict_as(server.addr, "alice", "deadline").await.echo(),
        "false"
    );
    let answer = call(
        server.addr,
        PREDICT,
        &[AUTH, ("grpc-timeout", "10S")],
        predict("deadline"),
    )
    .await;
    assert_eq!(answer.echo(), "true");

    let answer = call(
        server.addr,
        PREDICT,
        &[AUTH, ("grpc-timeout", "50m")],
        predict("sleep"),
    )
    .await;
    assert_eq!(answer.status().code(), Code::DeadlineExceeded);
    assert_eq!(answer.reason(), "DEADLINE_EXCEEDED");
    assert_eq!(server.ends.dropped.load(Ordering::SeqCst), 1);

    let answer = call(
        server.addr,
        PREDICT,
        &[AUTH, ("grpc-timeout", "soon")],
        predict("x"),
    )
    .await;
    assert_eq!(answer.status().code(), Code::InvalidArgument);
    assert_eq!(answer.reason(), "INVALID_FIELD");
}

#[tokio::test]
async fn valid_request_ids_are_kept_and_others_replaced() {
    let server = Running::start(&[]).await;
    let answer = call(
        server.addr,
        PREDICT,
        &[AUTH, ("x-request-id", "abc-1")],
        predict("x"),
    )
    .await;
    assert_eq!(answer.headers["x-request-id"], "abc-1");
    for headers in [&[AUTH][..], &[AUTH, ("x-request-id", "not \"sane\"")]] {
        let answer = call(server.addr, PREDICT, headers, predict("x")).await;
        assert_eq!(answer.headers["x-request-id"].len(), 16);
    }
}

#[tokio::test]
async fn a_cancelled_upload_does_not_look_complete() {
    let server = Running::start(&[]).await;
    let mut client = AnomalyServiceClient::new(channel(server.addr).await);
    let ends = &server.ends;
    for attempt in 1..=20 {
        let (sender, receiver) = tokio::sync::mpsc::channel(4);
        let mut request = tonic::Request::new(ReceiverStream::new(receiver));
        request
            .metadata_mut()
            .insert("authorization", "Bearer alice".parse().expect("value"));
        sender
            .send(PredictStreamRequest::default())
            .await
            .expect("send");
        let mut client = client.clone();
        let call = tokio::spawn(async move { client.predict_stream(request).await });
        while ends.messages.load(Ordering::SeqCst) < attempt {
            tokio::task::yield_now().await;
        }
        call.abort();
        let _ = call.await;
        drop(sender);
    }
    // a later complete one shows that the server has handled the others
    let mut request = tonic::Request::new(tokio_stream::iter([PredictStreamRequest::default()]));
    request
        .metadata_mut()
        .insert("authorization", "Bearer alice".parse().expect("value"));
    let response = client
        .predict_stream(request)
        .await
        .expect("response")
        .into_inner();
    let predictions = response.predictions.expect("predictions");
    assert_eq!(predictions.summary.expect("summary").n_rows, Some(1));
    assert_eq!(ends.clean.load(Ordering::SeqCst), 1, "{ends:?}");
    assert_eq!(ends.broken.load(Ordering::SeqCst), 20, "{ends:?}");
}

#[tokio::test]
async fn the_unix_socket_serves_and_a_stale_one_is_replaced() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("anomalyd.sock");
    let text = path.to_str().expect("utf-8");

    // what a killed server leaves behind
    drop(std::os::unix::net::UnixListener::bind(&path).expect("bind"));
    assert!(path.exists());

    let config = config(&["--unix-socket", text]);
    let bound = Server::bind(&config)
        .await
        .expect("the stale socket is replaced");
    assert_eq!(bound.unix_socket(), Some(path.as_path()));
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(
        std::fs::metadata(&path)
            .expect("metadata")
            .permissions()
            .mode()
            & 0o777,
        0o660
    );
    let taken = Server::bind(&config)
        .await
        .expect_err("a live socket is not replaced");
    assert!(
        taken.to_string().contains("another server listens there"),
        "{taken}"
    );

    let mut server = Running::run(bound, &config);
    let socket = path.clone();
    let channel = Endpoint::from_static("http://localhost")
        .connect_with_connector(service_fn(move |_| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        }))
        .await
        .expect("connect");
    let mut request = tonic::Request::new(PredictRequest {
        run_id: "here".to_owned(),
        ..Default::default()
    });
    request
        .metadata_mut()
        .insert("authorization", "Bearer alice".parse().expect("value"));
    let response = AnomalyServiceClient::new(channel)
        .predict(request)
        .await
        .expect("response");
    let predictions = response.into_inner().predictions.expect("predictions");
    assert_eq!(predictions.summary.expect("summary").run_id, "here");

    server.stop();
    server.stopped().await;
    assert!(!path.exists(), "the socket is removed at the end");

    std::fs::write(&path, "precious").expect("write");
    let refused = Server::bind(&config).await.expect_err("not a socket");
    assert!(
        refused
            .to_string()
            .contains("something other than a socket"),
        "{refused}"
    );
    assert_eq!(std::fs::read_to_string(&path).expect("read"), "precious");
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let server = Running::start(&[]).await;
    let taken = crate::server::support::config(&["--data-dir", "x"]);
    let taken = anomalyd::config::Config {
        listen: vec![server.addr],
        ..taken
    };
    let error = Server::bind(&taken).await.expect_err("taken").to_string();
    assert!(
        error.contains(&server.addr.to_string()) && error.contains("`listen`"),
        "{error}"
    );
}

const SERVICES: [&str; 4] = [
    "anomaly.v1.AnomalyService",
    "anomaly.v1.DatasetService",
    "anomaly.v1.OperationService",
    "grpc.health.v1.Health",
];

#[tokio::test]
async fn reflection_lists_the_services_without_a_token() {
    let server = Running::start(&[]).await;

    macro_rules! listed {
        ($version:ident) => {{
            let mut client = $version::server_reflection_client::ServerReflectionClient::new(channel(server.addr).await);
            let request = $version::ServerReflectionRequest {
                host: String::new(),
                message_request: Some(
                    $version::server_reflection_request::MessageRequest::ListServices(String::new()),
                ),
            };
            let mut answers = client
                .server_reflection_info(tokio_stream::once(request))
                .await
                .expect("reflection")
                .into_inner();
            let answer = answers.next().await.expect("an answer").expect("no error");
            match answer.message_response.expect("a message") {
                $version::server_reflection_response::MessageResponse::ListServicesResponse(list) => {
                    list.service.into_iter().map(|service| service.name).collect::<Vec<_>>()
                }
                other => panic!("not a list: {other:?}"),
            }
        }};
    }
    for names in [listed!(v1), listed!(v1alpha)] {
        for service in SERVICES {
            assert!(names.iter().any(|name| name == service), "{names:?}");
        }
    }
}

#[tokio::test]
async fn reflection_can_be_turned_off() {
    let server = Running::start(&["--reflection=false"]).await;
    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let answer = call(server.addr, path, &[], bytes::Bytes::new()).await;
    assert_eq!(answer.status().code(), Code::Unimplemented);
}
