//! The peak of the server's resident memory: for one large request in each form of rows, for nine in parallel under a budget, and
//! for answers that nobody reads. Needs `cargo build --release` first: it starts the program next to it, a new one for each
//! measurement. Exits with 1 if a peak is above its limit.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anomalyd::proto::v1::{AnswerOptions, AnswerRows, PredictRequest, Records, TrainRequest};
use anomalyd_benchmarks::served::{self, Client};
use anomalyd_benchmarks::{Bound, PEAK_RESIDENT, ReleaseServer, Results, Row};
use clap::Parser;
use prost::Message as _;
use tonic::Code;

mod forms;
mod unread;

use forms::OfSize;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The bytes of a large request, less than the server receives by default.
const REQUEST_BYTES: usize = 65_000_000;

/// The bytes of the rows that the run is trained on.
const TRAINING_BYTES: usize = 100_000;

/// A peak may be as many times the bytes of the only request.
const MOST_OF_ONE: f64 = 4.0;

/// How many large requests are sent at once, and the budget of the server for them.
const N_PARALLEL: usize = 9;
const REQUEST_BUDGET: usize = 512 << 20;

/// A peak may be as many times the budget.
const MOST_OF_BUDGET: f64 = 1.3;

/// Measures the peak memory of the server.
#[derive(Parser)]
struct Arguments {
    /// Where to write the table.
    #[arg(long)]
    csv: Option<PathBuf>,
    /// Divide the sizes of requests and datasets by this, to try the program.
    #[arg(long, default_value_t = 1)]
    shrink: usize,
}

fn main() -> Outcome<ExitCode> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let results = runtime.block_on(measured(arguments.shrink.max(1)))?;
    Ok(results.finish(arguments.csv.as_deref())?)
}

async fn measured(shrink: usize) -> Outcome<Results> {
    let mut results = Results::new();
    for (form, of_size) in forms::forms() {
        let records = of_size(REQUEST_BYTES / shrink);
        let n_bytes = records.encoded_len() as f64;
        for work in ["Predict", "Train"] {
            let server = ReleaseServer::start(&[])?;
            let mut client = trained(&server, of_size).await?;
            match work {
                "Train" => train(&mut client, "other", records.clone()).await?,
                _ => predict(&mut client, records.clone()).await?,
            }
            results.add(Row {
                work: format!("{work} of {:.0} MB of {form}", n_bytes / 1e6),
                ours: server.memory_bytes(PEAK_RESIDENT)?,
                peer: n_bytes,
                wanted: Bound::Most(MOST_OF_ONE),
            });
        }
    }
    results.add(parallel(shrink).await?);
    let (peak, before) = unread::measured(unread::N_ROWS / shrink).await?;
    results.add(Row {
        work: format!("{} answers that nobody reads", unread::N_ANSWERS),
        ours: peak - before,
        peer: unread::BUDGET as f64,
        wanted: Bound::Most(MOST_OF_BUDGET),
    });
    Ok(results)
}

/// Many large requests at once, under a budget.
async fn parallel(shrink: usize) -> Outcome<Row> {
    let records = forms::objects(REQUEST_BYTES / shrink);
    let budget = REQUEST_BUDGET / shrink;
    let server = ReleaseServer::start(&[
        format!("--request-memory-bytes={budget}"),
        format!("--max-message-bytes={}", (64 << 20) / shrink),
    ])?;
    trained(&server, forms::objects).await?;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..N_PARALLEL {
        let (mut client, records) = (served::client(server.address()).await, records.clone());
        tasks.spawn(async move { predict_at_last(&mut client, records).await });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(Row {
        work: format!("{N_PARALLEL} Predicts in parallel"),
        ours: server.memory_bytes(PEAK_RESIDENT)?,
        peer: budget as f64,
        wanted: Bound::Most(MOST_OF_BUDGET),
    })
}

/// A client of a server that has learned some rows of a form.
async fn trained(server: &ReleaseServer, of_size: OfSize) -> Outcome<Client> {
    let mut client = served::client(server.address()).await;
    train(&mut client, served::RUN, of_size(TRAINING_BYTES)).await?;
    Ok(client)
}

async fn train(client: &mut Client, run_id: &str, records: Records) -> Outcome<()> {
    let request = TrainRequest {
        run_id: run_id.to_owned(),
        records: Some(records),
        ..TrainRequest::default()
    };
    client.train(request).await?;
    Ok(())
}

fn request(records: Records, rows: AnswerRows) -> PredictRequest {
    PredictRequest {
        run_id: served::RUN.to_owned(),
        records: Some(records),
        answer: Some(AnswerOptions {
            rows: rows.into(),
            max_bytes: Some(64 << 20),
            ..AnswerOptions::default()
        }),
        ..PredictRequest::default()
    }
}

async fn predict(client: &mut Client, records: Records) -> Outcome<()> {
    client.predict(request(records, AnswerRows::None)).await?;
    Ok(())
}

/// Tries again as long as the server has no room.
async fn predict_at_last(client: &mut Client, records: Records) -> Result<(), tonic::Status> {
    loop {
        let request = request(records.clone(), AnswerRows::None);
        match client.predict(request).await {
            Ok(_) => return Ok(()),
            Err(status) if status.code() == Code::ResourceExhausted => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(status) => return Err(status),
        }
    }
}
