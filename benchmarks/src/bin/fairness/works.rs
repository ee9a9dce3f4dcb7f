//! What is measured.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anomalyd_benchmarks::{Bound, Results, Row, served};

use super::load::{self, Background, Encoded, quantile};
use super::requests::{self, N_FEATURES};

/// The owner whose requests are measured, and the one who floods the server.
const OWNER: &str = "owner";
const FLOODER: &str = "flooder";

/// How many trainings the flooder has under way.
const FLOOD: usize = 16;

/// How many clients are served without a refusal.
const CLIENTS: usize = 64;

/// How long a refusal may take.
const REFUSAL_SECONDS: f64 = 0.02;

/// Trains the runs that are predicted with.
async fn prepare(address: SocketAddr, token: &str) {
    let connection = served::connection(address, token).await;
    for (run_id, detector) in [
        ("forest", requests::forest()),
        ("neighbors", requests::neighbors()),
    ] {
        let records = requests::matrix(10_000, N_FEATURES);
        let request = requests::train(run_id, records, detector);
        let trained = load::ask(&connection, &Encoded::from(&request)).await;
        trained.expect("it trains");
    }
}

fn one_row(run_id: &str) -> Encoded {
    Encoded::from(&requests::predict(run_id, 1))
}

/// One-row predictions, one at a time, beside a training of the same owner: their 99th percentile, compared with that of an idle
/// server.
pub(super) async fn latency(address: SocketAddr, time: Duration, results: &mut Results) {
    const RUNS: [&str; 2] = ["forest", "neighbors"];
    prepare(address, OWNER).await;
    let p99 = async |run_id| {
        let seen = load::run(address, OWNER, vec![one_row(run_id)], time).await;
        quantile(&seen.answers, 0.99)
    };
    let mut idle = Vec::new();
    for run_id in RUNS {
        p99(run_id).await;
        idle.push(p99(run_id).await);
    }
    for (name, request) in requests::large() {
        let request = Arc::new(Encoded::from(&request));
        let training = Background::start(address, OWNER, 1, request).await;
        for (run_id, idle) in RUNS.into_iter().zip(&idle) {
            results.add(Row {
                work: format!("{run_id} p99 beside Train {name}"),
                ours: p99(run_id).await,
                peer: *idle,
                wanted: Bound::Most(10.0),
            });
        }
        training.stop().await;
    }
}

/// The rates of an owner while another one trains as much as it can, compared with the rates alone.
pub(super) async fn rates(address: SocketAddr, time: Duration, results: &mut Results) {
    prepare(address, OWNER).await;
    let small = requests::matrix(5_000, N_FEATURES);
    let train = requests::train("small", small, requests::forest());
    let works = [
        ("Predict one row, forest", one_row("forest")),
        ("Predict one row, neighbors", one_row("neighbors")),
        (
            "Predict 50000 rows, forest",
            Encoded::from(&requests::predict("forest", 50_000)),
        ),
        ("Train 5000 rows, forest", Encoded::from(&train)),
    ];
    let mut alone = Vec::new();
    for (_, request) in &works {
        let seen = load::run(address, OWNER, vec![request.clone()], time).await;
        alone.push(seen.rate());
    }
    for (name, request) in requests::large() {
        let request = Arc::new(Encoded::from(&request));
        let flood = Background::start(address, FLOODER, FLOOD, request).await;
        for ((work, request), alone) in works.iter().zip(&alone) {
            let seen = load::run(address, OWNER, vec![request.clone()], time).await;
            results.add(Row {
                work: format!("{work} beside {FLOOD} Train {name}"),
                ours: seen.rate(),
                peer: *alone,
                wanted: Bound::Least(0.4),
            });
        }
        flood.stop().await;
    }
}

/// How many of the requests of 64 clients are refused.
pub(super) async fn refusals(address: SocketAddr, time: Duration, results: &mut Results) {
    prepare(address, OWNER).await;
    let records = requests::matrix(2_000, N_FEATURES);
    let train = |client: usize| {
        let run_id = format!("client {client}");
        Encoded::from(&requests::train(
            &run_id,
            records.clone(),
            requests::forest(),
        ))
    };
    let predict = |run_id, n_rows| Encoded::from(&requests::predict(run_id, n_rows));
    let works: [(&str, Vec<Encoded>); 4] = [
        ("Predict one row, forest", vec![one_row("forest"); CLIENTS]),
        (
            "Predict one row, neighbors",
            vec![one_row("neighbors"); CLIENTS],
        ),
        (
            "Predict 5000 rows, neighbors",
            vec![predict("neighbors", 5_000); CLIENTS],
        ),
        ("Train 2000 rows, forest", (0..CLIENTS).map(train).collect()),
    ];
    for (work, requests) in works {
        let seen = load::run(address, OWNER, requests, time).await;
        let n_refused = seen.refusals.len() as f64;
        results.add(Row {
            work: format!("refused of {CLIENTS} clients: {work}"),
            ours: n_refused,
            peer: n_refused + seen.answers.len() as f64,
            wanted: Bound::Most(0.0),
        });
    }
}

/// The median time of a refusal when ten times as many clients come as may wait.
pub(super) async fn overload(address: SocketAddr, time: Duration, results: &mut Results) {
    prepare(address, OWNER).await;
    let request = Encoded::from(&requests::predict("neighbors", 2_000));
    let seen = load::run(address, OWNER, vec![request; 10 * CLIENTS], time).await;
    results.add(Row {
        work: format!(
            "median refusal, {} clients: Predict 2000 rows, neighbors",
            10 * CLIENTS
        ),
        ours: quantile(&seen.refusals, 0.5),
        peer: REFUSAL_SECONDS,
        wanted: Bound::Most(1.0),
    });
}
