//! Answers that nobody reads.

use std::time::Duration;

use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tonic::{Code, Status};

use crate::server::support::{LARGE, PREDICT, Running, predict, predict_as};

/// How long the server is given.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection whose streams take so many bytes that are not read.
async fn connected(server: &Running, window: u32) -> SendRequest<Full<bytes::Bytes>> {
    let stream = TcpStream::connect(server.addr).await.expect("connects");
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(window)
        .handshake(TokioIo::new(stream))
        .await
        .expect("a handshake");
    tokio::spawn(connection);
    sender
}

/// The body of the answer to a Predict.
async fn asked(
    server: &Running,
    sender: &mut SendRequest<Full<bytes::Bytes>>,
    run_id: &str,
) -> Incoming {
    let request = Request::post(format!("http://{}{PREDICT}", server.addr))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", "Bearer alice")
        .body(Full::new(predict(run_id)))
        .expect("a request");
    let response = sender.send_request(request).await.expect("headers");
    response.into_body()
}

fn code(trailers: &HeaderMap) -> Code {
    Status::from_header_map(trailers).expect("a status").code()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_reads_are_bounded_and_end() {
    let options = [
        "--answer-memory-bytes",
        "64MiB",
        "--answer-stall-timeout",
        "2s",
    ];
    let mut server = Running::start(&options).await;
    let mut sender = connected(&server, 64 << 10).await;
    let mut unread = Vec::new();
    // all but the start of each answer waits in the server, which runs out of memory for them
    let refused = loop {
        let mut body = asked(&server, &mut sender, "large").await;
        let first = body.frame().await.expect("a frame").expect("no error");
        match first.into_trailers() {
            Ok(trailers) => break trailers,
            Err(_) => unread.push(body),
        }
        assert!(unread.len() < 1000, "answers take no memory");
    };
    assert_eq!(code(&refused), Code::ResourceExhausted);
    assert!(unread.len() * LARGE >= 60 << 20, "{} answers", unread.len());

    // other requests on the same connection are served, and pings are answered
    let small = asked(&server, &mut sender, "small").await;
    let small = small.collect().await.expect("is read");
    assert_eq!(code(small.trailers().expect("trailers")), Code::Ok);

    // in time their streams are reset, and there is room again
    let served = tokio::time::timeout(PATIENCE, async {
        loop {
            let answer = predict_as(server.addr, "alice", "large").await;
            match answer.status().code() {
                Code::Ok => return answer.echo().len(),
                _ => assert_eq!(answer.reason(), "OVERLOADED"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert_eq!(served.await.expect("there is room at last"), LARGE);
    let first = unread.swap_remove(0);
    assert!(first.collect().await.is_err(), "its stream was reset");
    drop(unread);
    server.stop();
    server.stopped().await;
}

#[tokio::test]
async fn a_short_answer_that_nobody_reads_ends() {
    let server = Running::start(&["--answer-stall-timeout", "1s"]).await;
    let mut sender = connected(&server, 0).await;
    let body = asked(&server, &mut sender, "small").await;
    let unread = tokio::time::timeout(PATIENCE, body.collect()).await;
    let ended = unread.expect("it ends");
    assert!(ended.is_err(), "its stream was reset");
}

#[tokio::test]
async fn a_slow_reader_gets_all_of_its_answer() {
    let server = Running::start(&["--answer-stall-timeout", "2s"]).await;
    let mut sender = connected(&server, 64 << 10).await;
    let mut body = asked(&server, &mut sender, "large").await;
    let mut n_bytes = 0;
    while let Some(frame) = body.frame().await {
        match frame.expect("no error").into_data() {
            Ok(data) => n_bytes += data.len(),
            Err(frame) => {
                let trailers = frame.into_trailers().expect("trailers");
                assert_eq!(code(&trailers), Code::Ok);
            }
        }
        // longer than the server waits for nothing at all, over the whole answer
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(n_bytes > LARGE);
}
