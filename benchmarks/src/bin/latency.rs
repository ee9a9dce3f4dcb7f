//! One-row Predict over loopback, as `rows` and as `matrix`, compared with a bare tonic service that takes the same
//! messages. The client runs on the same machine.

use std::net::SocketAddr;
use std::time::Instant;

use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::{Matrix, PredictRequest, Records};
use anomalyd_benchmarks::served::{self, Client, N_FEATURES, RUN};
use anomalyd_benchmarks::{bare, median, normal_rows};
use clap::Parser;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use tokio::runtime::{Builder, Runtime};

/// Times one-row predictions.
#[derive(Parser)]
struct Arguments {
    /// How many times each side is measured, in turns.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// How many requests each measurement has.
    #[arg(long, default_value_t = 30_000)]
    requests: usize,
    /// How many requests are under way at once, over all connections.
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// How many connections there are.
    #[arg(long, default_value_t = 2)]
    connections: usize,
}

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("threads")
}

fn main() {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir().expect("a folder");
    let (our_runtime, bare_runtime, client_runtime) = (runtime(), runtime(), runtime());
    let ours = our_runtime.block_on(served::start(folder.path()));
    let bare = bare_runtime.block_on(bare::start());
    client_runtime.block_on(async {
        served::train(&mut served::client(ours).await).await;
        for (form, request) in [("rows", rows()), ("matrix", matrix())] {
            compare(form, &request, ours, bare, &arguments).await;
        }
    });
    // the servers never end by themselves
    std::process::exit(0);
}

async fn compare(
    form: &str,
    request: &PredictRequest,
    ours: SocketAddr,
    bare: SocketAddr,
    arguments: &Arguments,
) {
    let mut rates = [Vec::new(), Vec::new()];
    let mut latencies = [Vec::new(), Vec::new()];
    for round in 0..=arguments.rounds {
        for (side, address) in [ours, bare].into_iter().enumerate() {
            let rate = requests_a_second(address, request, arguments).await;
            let latency = latency(address, request, arguments.requests / 10).await;
            // the first round warms up
            if round > 0 {
                rates[side].push(rate);
                latencies[side].push(latency);
            }
        }
    }
    let ratio = median(
        &rates[0]
            .iter()
            .zip(&rates[1])
            .map(|(ours, bare)| ours / bare)
            .collect::<Vec<_>>(),
    );
    println!(
        "{form}: {:.0} requests/s, bare {:.0}, ratio {ratio:.2}",
        median(&rates[0]),
        median(&rates[1])
    );
    for (what, quantile) in [("median", 0), ("p99", 1)] {
        let of = |side: usize| {
            median(
                &latencies[side]
                    .iter()
                    .map(|latency| latency[quantile])
                    .collect::<Vec<_>>(),
            ) * 1e6
        };
        println!(
            "{form}: {what} latency {:.0} us, bare {:.0} us, one request at a time",
            of(0),
            of(1)
        );
    }
}

async fn requests_a_second(
    address: SocketAddr,
    request: &PredictRequest,
    arguments: &Arguments,
) -> f64 {
    let mut clients = Vec::new();
    for _ in 0..arguments.connections {
        clients.push(served::client(address).await);
    }
    let each = arguments.requests / arguments.in_flight;
    let start = Instant::now();
    let tasks: Vec<_> = (0..arguments.in_flight)
        .map(|task| {
            let (mut client, request) = (clients[task % clients.len()].clone(), request.clone());
            tokio::spawn(async move {
                for _ in 0..each {
                    ask(&mut client, &request).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("answers");
    }
    (each * arguments.in_flight) as f64 / start.elapsed().as_secs_f64()
}

/// The median and the 99th percentile in seconds.
async fn latency(address: SocketAddr, request: &PredictRequest, n: usize) -> [f64; 2] {
    let mut client = served::client(address).await;
    let mut seconds = Vec::with_capacity(n);
    for _ in 0..n {
        let start = Instant::now();
        ask(&mut client, request).await;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    [seconds[n / 2], seconds[n * 99 / 100]]
}

async fn ask(client: &mut Client, request: &PredictRequest) {
    let answer = client
        .predict(request.clone())
        .await
        .expect("answers")
        .into_inner();
    assert_eq!(answer.predictions.map(|found| found.rows.len()), Some(1));
}

fn rows() -> PredictRequest {
    let fields = served::names()
        .into_iter()
        .zip(normal_rows(1, N_FEATURES))
        .map(|(name, value)| {
            (
                name,
                Value {
                    kind: Some(Kind::NumberValue(value)),
                },
            )
        })
        .collect();
    let row = Value {
        kind: Some(Kind::StructValue(Struct { fields })),
    };
    request(Form::Rows(ListValue { values: vec![row] }.into()))
}

fn matrix() -> PredictRequest {
    request(Form::Matrix(Matrix {
        feature_names: served::names(),
        values: normal_rows(1, N_FEATURES),
        ..Matrix::default()
    }))
}

fn request(form: Form) -> PredictRequest {
    PredictRequest {
        run_id: RUN.to_owned(),
        records: Some(Records {
            form: Some(form),
            ..Records::default()
        }),
        ..PredictRequest::default()
    }
}
