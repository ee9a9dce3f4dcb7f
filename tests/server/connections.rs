//! How many connections are served, and when one is ended.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::server::support::{Connection, PREDICT, Running, channel, predict, predict_as, whole};

const AUTH: (&str, &str) = ("authorization", "Bearer alice");

/// What a client of HTTP/2 begins with: the preface, and a frame of settings without any.
const BEGINNING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

const GOAWAY: u8 = 7;

#[tokio::test]
async fn connections_without_a_request_are_ended() {
    let server = Running::start(&["--arrival-timeout", "1s", "--keepalive-timeout", "1s"]).await;
    let mut silent = TcpStream::connect(server.addr).await.expect("connect");
    let mut begun = TcpStream::connect(server.addr).await.expect("connect");
    begun.write_all(&BEGINNING[..10]).await.expect("sent");
    // without an answer to what the server sends
    let mut idle = TcpStream::connect(server.addr).await.expect("connect");
    idle.write_all(BEGINNING).await.expect("sent");

    for socket in [&mut silent, &mut begun] {
        assert!(read_to_end(socket).await.is_empty());
    }
    let types = frame_types(&read_to_end(&mut idle).await);
    assert!(types.contains(&GOAWAY), "{types:?}");
    Connection::open(server.addr).await.closed().await;
}

#[tokio::test]
async fn a_connection_is_ended_when_it_was_idle_for_long() {
    let server = Running::start(&["--max-connection-idle", "1s"]).await;
    let connection = Connection::open(server.addr).await;
    let answer = connection.call(PREDICT, &[AUTH], whole(predict("x"))).await;
    assert_eq!(answer.echo(), "x");
    connection.closed().await;
}

#[tokio::test]
async fn an_idle_connection_makes_room_and_a_busy_one_does_not() {
    let server = Running::start(&["--max-connections", "2"]).await;
    let busy = Connection::open(server.addr).await;
    let sleeper = busy.sleep().await;
    let idle = Connection::open(server.addr).await;
    let answer = idle.call(PREDICT, &[AUTH], whole(predict("x"))).await;
    assert_eq!(answer.echo(), "x");

    // until then its client may be between two requests
    tokio::time::sleep(Duration::from_secs(2)).await;
    let third = Connection::open(server.addr).await;
    let answer = third.call(PREDICT, &[AUTH], whole(predict("y"))).await;
    assert_eq!(answer.echo(), "y");
    idle.closed().await;

    let another = third.sleep().await;
    let mut refused = TcpStream::connect(server.addr).await.expect("connect");
    let received = read_to_end(&mut refused).await;
    assert!(received.is_empty(), "no frame of HTTP/2: {received:?}");

    sleeper.abort();
    another.abort();
    loop {
        let mut next = TcpStream::connect(server.addr).await.expect("connect");
        next.write_all(BEGINNING).await.expect("sent");
        if matches!(next.read(&mut [0]).await, Ok(1)) {
            break;
        }
    }
}

#[tokio::test]
async fn connections_that_only_watch_the_health_make_room() {
    let server = Running::start(&["--max-connections", "2"]).await;
    let mut watching = Vec::new();
    for _ in 0..4 {
        let mut health = HealthClient::new(channel(server.addr).await);
        let watch = health.watch(HealthCheckRequest::default()).await;
        watching.push((health, watch.expect("it is watched").into_inner()));
    }
    let answer = predict_as(server.addr, "alice", "x").await;
    assert_eq!(answer.echo(), "x");
}

async fn read_to_end(socket: &mut TcpStream) -> Vec<u8> {
    let mut received = Vec::new();
    socket.read_to_end(&mut received).await.expect("closed");
    received
}

/// The types of frames in the bytes of a connection.
fn frame_types(mut bytes: &[u8]) -> Vec<u8> {
    let mut types = Vec::new();
    while let [a, b, c, kind, rest @ ..] = bytes {
        types.push(*kind);
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        bytes = &rest[5 + length..];
    }
    types
}
