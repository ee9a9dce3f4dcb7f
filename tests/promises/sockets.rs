//! Slow and hostile clients: others are served meanwhile, and nothing is held for them once they have left.
//!
//! `benchmarks/clients` does this with a thousand of them, and weighs the memory.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;

use super::program::Program;
use super::raw::{self, Connection};
use crate::grpc::harness::{normal_rows, predict_request, train_request, xy};

/// How many clients there are of each kind.
const OF_EACH: u64 = 8;

const DEADLINE: Duration = Duration::from_secs(60);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// the types of frames, RFC 9113 section 6
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// The header block of a call, each field as a literal (RFC 7541, section 6.2.2).
fn header_block(path: &str) -> Vec<u8> {
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("authorization", "Bearer alice"),
    ];
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

fn message(body: &[u8]) -> Vec<u8> {
    let mut message = vec![0];
    message.extend_from_slice(&(body.len() as u32).to_be_bytes());
    message.extend_from_slice(body);
    message
}

/// A hostile client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Silent,
    SilentAfterSettings,
    PrefaceByteByByte,
    OtherProtocol,
    RandomBytes,
    RandomFrames,
    OversizeFrame,
    HeadersWithoutEnd,
    Resets,
    Pings,
    StalledReader,
    MessageWithoutEnd,
}

const KINDS: [Kind; 12] = [
    Kind::Silent,
    Kind::SilentAfterSettings,
    Kind::PrefaceByteByByte,
    Kind::OtherProtocol,
    Kind::RandomBytes,
    Kind::RandomFrames,
    Kind::OversizeFrame,
    Kind::HeadersWithoutEnd,
    Kind::Resets,
    Kind::Pings,
    Kind::StalledReader,
    Kind::MessageWithoutEnd,
];

impl Kind {
    /// Connects and misbehaves, until the server closes the connection or all is sent; then stays.
    async fn misbehave(self, address: SocketAddr, seed: u64) {
        let mut stream = TcpStream::connect(address).await.expect("accepted");
        // the server may end the connection at any time
        if self.send(&mut stream, seed).await.is_ok() {
            std::future::pending::<()>().await;
        }
    }

    async fn send(self, stream: &mut TcpStream, seed: u64) -> std::io::Result<()> {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut random = move |n: usize| {
            let mut bytes = vec![0; n];
            rng.fill_bytes(&mut bytes);
            bytes
        };
        let predict = header_block("/anomaly.v1.AnomalyService/Predict");
        match self {
            Self::Silent => return Ok(()),
            Self::PrefaceByteByByte => {
                for byte in PREFACE {
                    stream.write_all(&[*byte]).await?;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                return Ok(());
            }
            Self::OtherProtocol => {
                stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await?;
                return Ok(());
            }
            Self::RandomBytes => {
                stream.write_all(&random(1 << 16)).await?;
                return Ok(());
            }
            _ => {}
        }
        stream.write_all(PREFACE).await?;
        match self {
            Self::StalledReader => {
                // no room for any answer (SETTINGS_INITIAL_WINDOW_SIZE)
                let settings = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
                stream.write_all(&settings).await?;
                let request = predict_request("run", xy(normal_rows(5000, seed)));
                let body = message(&request.encode_to_vec());
                for stream_id in [1, 3, 5] {
                    stream
                        .write_all(&frame(HEADERS, END_HEADERS, stream_id, &predict))
                        .await?;
                    for (i, part) in body.chunks(1 << 14).enumerate() {
                        let is_last = (i + 1) * (1 << 14) >= body.len();
                        let flags = if is_last { END_STREAM } else { 0 };
                        stream
                            .write_all(&frame(DATA, flags, stream_id, part))
                            .await?;
                    }
                }
            }
            _ => stream.write_all(&frame(SETTINGS, 0, 0, &[])).await?,
        }
        match self {
            Self::RandomFrames => {
                for _ in 0..200 {
                    let head = random(4);
                    let payload = random(usize::from(head[0]));
                    let (kind, flags) = (head[1] % 12, head[2]);
                    let stream_id = u32::from(head[3] % 8);
                    stream
                        .write_all(&frame(kind, flags, stream_id, &payload))
                        .await?;
                }
            }
            Self::OversizeFrame => {
                stream
                    .write_all(&frame(HEADERS, END_HEADERS, 1, &predict))
                    .await?;
                stream
                    .write_all(&frame(DATA, 0, 1, &vec![0; 1 << 23]))
                    .await?;
            }
            Self::HeadersWithoutEnd => {
                stream.write_all(&frame(HEADERS, 0, 1, &predict)).await?;
                for _ in 0..5000 {
                    let mut field = vec![0, 1, b'a', 100];
                    field.extend_from_slice(&[b'x'; 100]);
                    let block = field.repeat(100);
                    stream.write_all(&frame(CONTINUATION, 0, 1, &block)).await?;
                }
            }
            Self::Resets => {
                for i in 0..20_000 {
                    let headers = frame(HEADERS, END_HEADERS, 2 * i + 1, &predict);
                    let reset = frame(RST_STREAM, 0, 2 * i + 1, &[0, 0, 0, 8]);
                    stream.write_all(&[headers, reset].concat()).await?;
                }
            }
            Self::Pings => {
                for _ in 0..20_000 {
                    stream.write_all(&frame(PING, 0, 0, &[7; 8])).await?;
                    let grow = frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]);
                    stream.write_all(&grow).await?;
                }
            }
            Self::MessageWithoutEnd => {
                stream
                    .write_all(&frame(HEADERS, END_HEADERS, 1, &predict))
                    .await?;
                let mut body = message(&[7; 10_000]);
                body.truncate(9000);
                stream.write_all(&frame(DATA, 0, 1, &body)).await?;
            }
            _ => {}
        }
        Ok(())
    }
}

async fn predicts(connection: &mut Connection) {
    let request = predict_request("run", xy(vec![0.0, 5.0, 90.0, -90.0]));
    let message = [Bytes::from(request.encode_to_vec())];
    let method = raw::method("AnomalyService/Predict");
    let answer = connection
        .call(&method, "Bearer alice", DEADLINE, &message)
        .await;
    assert_eq!(answer.status.code(), Code::Ok, "{:?}", answer.status);
}

#[tokio::test(flavor = "multi_thread")]
async fn others_are_served_beside_hostile_clients_and_nothing_is_left_of_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Program::serve(folder.path(), &[], &[]);
    let address = server.address().await;
    let mut connection = Connection::open(address).await;
    let training = train_request("run", xy(normal_rows(200, 1)));
    let message = [Bytes::from(training.encode_to_vec())];
    let method = raw::method("AnomalyService/Train");
    let trained = connection
        .call(&method, "Bearer alice", DEADLINE, &message)
        .await;
    assert_eq!(trained.status.code(), Code::Ok, "{:?}", trained.status);
    predicts(&mut connection).await;
    let n_files = server.n_open_files();

    let mut hostile = tokio::task::JoinSet::new();
    for seed in 0..OF_EACH {
        for kind in KINDS {
            hostile.spawn(kind.misbehave(address, seed));
        }
    }
    for _ in 0..30 {
        predicts(&mut connection).await;
        // new connections are accepted, too
        predicts(&mut Connection::open(address).await).await;
    }
    hostile.abort_all();
    while hostile.join_next().await.is_some() {}
    let left = async {
        while server.n_open_files() > n_files {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let left = tokio::time::timeout(DEADLINE, left).await;
    assert!(left.is_ok(), "{} files are open", server.n_open_files());
    predicts(&mut connection).await;
    assert!(server.runs());
    drop(connection);
    server.terminate();
    let (status, output) = server.ended().await;
    assert!(status.success(), "{status}: {output}");
    assert!(!output.contains("panic"), "{output}");
}

/// What breaks the protocol, instead of only being slow, is not waited for.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_break_the_protocol_are_cut_off() {
    let folder = tempfile::tempdir().expect("a folder");
    // so that it is what they send that ends them
    let mut server = Program::serve(folder.path(), &["--arrival-timeout=10m"], &[]);
    let address = server.address().await;
    let breaking = [
        Kind::RandomBytes,
        Kind::OversizeFrame,
        Kind::HeadersWithoutEnd,
        Kind::Resets,
    ];
    for kind in breaking {
        let mut stream = TcpStream::connect(address).await.expect("accepted");
        // it may be cut off before all is sent
        kind.send(&mut stream, 1).await.ok();
        let mut received = Vec::new();
        // an error, too, is the end of the connection
        let end = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut received)).await;
        assert!(end.is_ok(), "{kind:?} is still connected");
    }
}
