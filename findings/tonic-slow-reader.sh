#!/usr/bin/env bash
# Expected: HTTP/2 has flow control for a client that reads a stream slowly: the server waits once the window is full, and goes on
# when the client does. A client that pauses for two seconds before it reads 40,000 messages of 3 bytes gets them all.
# Seen: a client by tonic 0.14.9 (h2 0.4.20) ends the connection with ENHANCE_YOUR_CALM, "too_many_data_frames", after some ten
# thousand messages: its own h2 counts each frame that is not read yet with what it is short of 256 bytes, and gives up at half of
# the connection's window of 5 MiB, long before the stream's window of 2 MiB is full. A client by grpcio 1.85.1 gets all messages.
# Why it matters: scores and readings of live streams are small messages, each a frame of its own. A consumer that stalls for a
# moment loses the stream and all that shares its channel, which looks like a broken server. Servers should join small messages
# that are ready, and clients read into a queue of their own.
set -euo pipefail
tmp=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check grpcio==1.85.1
cat > server.py <<'PY'
from concurrent import futures

import grpc


def watch(request, context):
    for _ in range(40_000):
        yield b"\x08\x05"


handlers = {"Watch": grpc.unary_stream_rpc_method_handler(watch)}
server = grpc.server(futures.ThreadPoolExecutor(4))
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("demo.Readings", handlers)])
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
server.wait_for_termination()
PY
venv/bin/python server.py > port &
server=$!
until [[ -s port ]]; do sleep 0.1; done
port=$(<port)

cat > client.py <<'PY'
import sys
import time

import grpc

channel = grpc.insecure_channel(f"127.0.0.1:{sys.argv[1]}")
readings = channel.unary_stream("/demo.Readings/Watch")(b"")
time.sleep(2)
print(f"grpcio: {sum(1 for _ in readings)} messages")
PY
venv/bin/python client.py "$port" | tee seen

mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "client"
edition = "2024"

[dependencies]
h2 = "=0.4.20"
http = "1"
tokio = { version = "1", features = ["macros", "rt-multi-thread", "time"] }
tonic = { version = "=0.14.9", default-features = false, features = ["channel"] }
tonic-prost = "=0.14.9"
TOML
cat > src/main.rs <<'RS'
use std::time::Duration;

use http::uri::PathAndQuery;
use tonic::{Request, client::Grpc, transport::Endpoint};
use tonic_prost::ProstCodec;

#[tokio::main]
async fn main() {
    let port = std::env::args().nth(1).expect("a port");
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).expect("an address");
    let mut client = Grpc::new(endpoint.connect().await.expect("a server"));
    client.ready().await.expect("ready");
    let path = PathAndQuery::from_static("/demo.Readings/Watch");
    let codec = ProstCodec::<(), u64>::default();
    let answer = client.server_streaming(Request::new(()), path, codec).await;
    let mut readings = answer.expect("it begins").into_inner();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut n_read = 0;
    let end = loop {
        match readings.message().await {
            Ok(Some(_)) => n_read += 1,
            Ok(None) => break "the end".to_owned(),
            Err(status) => break format!("{status:?}"),
        }
    };
    println!("tonic: {n_read} messages, then {end}");
}
RS
cargo run --quiet --release -- "$port" | tee -a seen
if ! grep -q 'grpcio: 40000 messages' seen || ! grep -q 'tonic: .*too_many_data_frames' seen; then
  echo 'tonic no longer behaves as stated' >&2
  exit 1
fi
