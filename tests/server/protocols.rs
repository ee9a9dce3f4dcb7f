//! The port speaks gRPC alone, and says so in the protocol of those who speak another.

use std::net::SocketAddr;

use http::{Request, StatusCode};
use http_body_util::Full;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;

use crate::server::support::{PREDICT, Running, predict, predict_as, send};

#[tokio::test]
async fn what_is_not_grpc_is_refused_over_http2_with_a_text() {
    let server = Running::start(&[]).await;
    let uri = format!("http://{}{PREDICT}", server.addr);
    let post = |content_type| Request::post(&uri).header("content-type", content_type);
    for (request, status, text) in [
        (Request::get(&uri), 415, "application/grpc"),
        (post("application/json"), 415, "application/grpc"),
        (post("application/grpc+json"), 415, "application/grpc"),
        (
            post("application/grpc-web+proto"),
            415,
            "does not speak gRPC-web",
        ),
        (
            post("application/grpc-web-text"),
            415,
            "does not speak gRPC-web",
        ),
        (post("application/grpc").method("PUT"), 405, "POST"),
    ] {
        let request = request
            .header("authorization", "Bearer alice")
            .body(Full::new(predict("owner")))
            .expect("request");
        let shown = format!("{request:?}");
        let answer = send(server.addr, request).await;
        assert_eq!(answer.http.as_u16(), status, "{shown}");
        assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
        assert!(!answer.headers.contains_key("grpc-status"), "{shown}");
        let found = String::from_utf8_lossy(&answer.body);
        assert!(found.contains(text), "{shown}: {found}");
    }
    let request = post("application/grpc+proto")
        .header("authorization", "Bearer alice")
        .body(Full::new(predict("echoed")))
        .expect("request");
    let answer = send(server.addr, request).await;
    assert_eq!(
        (answer.http, answer.echo()),
        (StatusCode::OK, "echoed".to_owned())
    );
}

#[tokio::test]
async fn clients_of_http1_get_an_answer_that_they_can_read() {
    let server = Running::start(&[]).await;
    let host = "host: localhost\r\n";
    let post = format!("POST {PREDICT} HTTP/1.1\r\n{host}content-length: 5\r\n");
    for (request, status, text) in [
        (
            format!("GET / HTTP/1.1\r\n{host}\r\n"),
            "505",
            "gRPC over HTTP/2",
        ),
        (
            "GET / HTTP/1.0\r\n\r\n".to_owned(),
            "505",
            "gRPC over HTTP/2",
        ),
        (
            format!("{post}content-type: application/grpc\r\n\r\n12345"),
            "505",
            "gRPC over HTTP/2",
        ),
        (
            format!("{post}content-type: application/grpc-web+proto\r\n\r\n12345"),
            "415",
            "does not speak gRPC-web",
        ),
        // the start of TLS
        ("\u{16}\u{3}\u{1}".to_owned(), "400", ""),
    ] {
        let answer = exchange(server.addr, request.as_bytes()).await;
        let (first, _) = answer.split_once("\r\n").expect("a line");
        assert!(first.starts_with("HTTP/1."), "{request:?}: {answer}");
        assert_eq!(
            first.split(' ').nth(1),
            Some(status),
            "{request:?}: {answer}"
        );
        assert!(answer.contains(text), "{request:?}: {answer}");
    }
    let answer = predict_as(server.addr, "alice", "still here").await;
    assert_eq!(answer.status().code(), Code::Ok);
}

/// Sends bytes, and returns what comes back until the server closes the connection.
async fn exchange(addr: SocketAddr, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(addr).await.expect("connect");
    socket.write_all(bytes).await.expect("sent");
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.expect("closed");
    String::from_utf8(answer).expect("text")
}
