//! PredictStream of packed rows, end to end over loopback, compared with a bare tonic service that only receives the same
//! messages, and with the model alone in process. The client runs on the same machine.

use std::net::SocketAddr;
use std::time::Instant;

use anomaly_detection::context::Context;
use anomaly_detection::detector::{DetectorParams, IsolationForestParams};
use anomaly_detection::pipeline::{Describe, TrainingSpec};
use anomaly_detection::table::Table;
use anomalyd::proto::v1::predict_stream_request::Part;
use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::{
    AnswerOptions, AnswerRows, Matrix, PredictStreamEnd, PredictStreamHeader, PredictStreamRequest,
    Records,
};
use anomalyd_benchmarks::served::{self, N_FEATURES, RUN};
use anomalyd_benchmarks::{bare, median, normal_rows, timed};
use clap::Parser;
use rayon::ThreadPoolBuilder;
use tokio::runtime::{Builder, Runtime};

/// Times streams of packed rows.
#[derive(Parser)]
struct Arguments {
    /// How many times each side is measured, in turns.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// How many rows a message has.
    #[arg(long, default_value_t = 8192)]
    chunk_rows: usize,
    /// How many messages a stream has.
    #[arg(long, default_value_t = 200)]
    chunks: usize,
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
        for (form, chunk) in [
            ("values_f64le", packed(&arguments)),
            ("values", repeated(&arguments)),
        ] {
            let mut rates = [Vec::new(), Vec::new()];
            for round in 0..=arguments.rounds {
                for (side, address) in [ours, bare].into_iter().enumerate() {
                    let rate = rows_a_second(address, &chunk, &arguments).await;
                    // the first round warms up
                    if round > 0 {
                        rates[side].push(rate / 1e6);
                    }
                }
            }
            println!(
                "{form}: {:.2}M rows/s end to end, bare {:.2}M rows/s, {} rows a message",
                median(&rates[0]),
                median(&rates[1]),
                arguments.chunk_rows
            );
        }
    });
    println!(
        "model alone, 2 threads: {:.2}M rows/s",
        alone(arguments.rounds) / 1e6
    );
    // the servers never end by themselves
    std::process::exit(0);
}

async fn rows_a_second(address: SocketAddr, chunk: &Matrix, arguments: &Arguments) -> f64 {
    let mut client = served::client(address).await;
    let header = PredictStreamHeader {
        run_id: RUN.to_owned(),
        answer: Some(AnswerOptions {
            rows: AnswerRows::None.into(),
            ..AnswerOptions::default()
        }),
        ..PredictStreamHeader::default()
    };
    let n_rows = (arguments.chunk_rows * arguments.chunks) as u64;
    let records = Records {
        form: Some(Form::Matrix(chunk.clone())),
        ..Records::default()
    };
    let parts = std::iter::once(Part::Header(header))
        .chain(std::iter::repeat_n(
            Part::Records(records),
            arguments.chunks,
        ))
        .chain(std::iter::once(Part::End(PredictStreamEnd {
            rows: Some(n_rows),
        })));
    let messages = tokio_stream::iter(parts.map(|part| PredictStreamRequest { part: Some(part) }));
    let start = Instant::now();
    let answer = client
        .predict_stream(messages)
        .await
        .expect("answers")
        .into_inner();
    let summary = answer.predictions.and_then(|found| found.summary);
    assert_eq!(summary.and_then(|summary| summary.n_rows), Some(n_rows));
    n_rows as f64 / start.elapsed().as_secs_f64()
}

fn packed(arguments: &Arguments) -> Matrix {
    let values = normal_rows(arguments.chunk_rows, N_FEATURES);
    Matrix {
        n_columns: N_FEATURES as u32,
        values_f64le: values
            .into_iter()
            .flat_map(f64::to_le_bytes)
            .collect::<Vec<u8>>()
            .into(),
        ..Matrix::default()
    }
}

fn repeated(arguments: &Arguments) -> Matrix {
    Matrix {
        n_columns: N_FEATURES as u32,
        values: normal_rows(arguments.chunk_rows, N_FEATURES),
        ..Matrix::default()
    }
}

/// How many rows a second a model scores in process.
fn alone(rounds: usize) -> f64 {
    const ROWS: usize = 100_000;
    let pool = ThreadPoolBuilder::new()
        .num_threads(2)
        .build()
        .expect("threads");
    let table =
        Table::from_row_major(None, N_FEATURES, normal_rows(ROWS, N_FEATURES)).expect("a table");
    let spec = TrainingSpec {
        detector: DetectorParams::IsolationForest(IsolationForestParams::default()),
        ..TrainingSpec::default()
    };
    let context = Context::new();
    let model = pool
        .install(|| spec.fit(Some(table.clone()), &context))
        .expect("fits")
        .model;
    let rates: Vec<f64> = (0..rounds)
        .map(|_| {
            let table = table.clone();
            let (scored, seconds) =
                timed(|| pool.install(|| model.score(table, None, Describe::Nothing, &context)));
            assert_eq!(scored.expect("scores").scores.len(), ROWS);
            ROWS as f64 / seconds
        })
        .collect();
    median(&rates)
}
