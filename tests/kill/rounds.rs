//! Rounds of load, kill and check on one folder.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::time::Duration;

use anomalyd::proto::v1::{ListModelsRequest, Model};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::kill::datasets::KnownDatasets;
use crate::kill::disk::Disk;
use crate::kill::load::{self, Known};
use crate::kill::process::{self, Process};
use crate::settings::setting;

const TOKENS: [&str; 2] = ["alice", "bob"];
const RUNS: [&str; 2] = ["first", "second"];
const SHARED: &str = "shared";

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::print_stdout,
    reason = "shown when the test fails, to repeat it"
)]
async fn a_kill_loses_nothing_that_was_acknowledged() {
    let rounds: u64 = setting("KILL_ROUNDS").unwrap_or(50);
    let seed: u64 = setting("KILL_SEED").unwrap_or_else(|| RandomState::new().hash_one(rounds));
    println!("KILL_SEED={seed}");
    let mut rng = SmallRng::seed_from_u64(seed);

    let disk = match setting("KILL_POWER") {
        Some(1_u8) => Disk::mounted(),
        _ => Disk::folder(),
    };
    let folder = disk.path();
    let mut known: BTreeMap<(&str, &str), Known> = TOKENS
        .iter()
        .flat_map(|&token| RUNS.map(|run| ((token, run), Known::default())))
        .collect();
    let mut together: Vec<Model> = Vec::new();
    let mut datasets = KnownDatasets::default();

    for round in 0..rounds {
        // in half of the rounds it is also killed while it opens, once or twice
        for _ in 0..[0, 0, 1, 2][rng.random_range(0..4)] {
            let opening = Process::spawn(&folder);
            tokio::time::sleep(Duration::from_micros(rng.random_range(0..60_000))).await;
            opening.kill();
            disk.cut_power();
        }
        let mut server = Process::spawn(&folder);
        let address = server.address();
        check(address, &folder, &mut known, &together, &mut datasets).await;

        let uploader = process::dataset_client(address, TOKENS[1]).await;
        let uploader = tokio::spawn(std::mem::take(&mut datasets).write(uploader));
        let mut tasks = Vec::new();
        for (&(token, run), known) in &mut known {
            let client = process::client(address, token).await;
            let write = load::write(client, run.to_owned(), std::mem::take(known), rng.random());
            tasks.push(((token, run), tokio::spawn(write)));
        }
        let mut owner = process::client(address, TOKENS[0]).await;
        if round == 0 {
            together.push(load::train(&mut owner, SHARED, 0).await.expect("trains"));
        }
        let updaters: Vec<_> = (0..2)
            .map(|_| {
                tokio::spawn(load::update_together(
                    owner.clone(),
                    SHARED.to_owned(),
                    rng.random::<u32>().into(),
                ))
            })
            .collect();
        tokio::time::sleep(Duration::from_micros(rng.random_range(1_000..120_000))).await;
        server.kill();
        disk.cut_power();
        for (run, task) in tasks {
            known.insert(run, task.await.expect("the client got sane answers"));
        }
        datasets = uploader.await.expect("the client got sane answers");
        for updater in updaters {
            together.extend(updater.await.expect("the client got sane answers"));
        }
    }

    let mut server = Process::spawn(&folder);
    let address = server.address();
    check(address, &folder, &mut known, &together, &mut datasets).await;
    let acknowledged: usize = known.values().map(|known| known.acknowledged.len()).sum();
    assert!(
        acknowledged > 0 && together.len() as u64 > rounds / 2,
        "there was something to lose"
    );
    assert!(!datasets.is_empty(), "there were datasets to lose");
}

/// Checks that everything acknowledged is there and whole, and that there is no other run or file.
async fn check(
    address: std::net::SocketAddr,
    folder: &Path,
    known: &mut BTreeMap<(&str, &str), Known>,
    together: &[Model],
    datasets: &mut KnownDatasets,
) {
    let mut kept = 0;
    for token in TOKENS {
        let mut client = process::client(address, token).await;
        let mut expected = Vec::new();
        for run in RUNS {
            let known = known.get_mut(&(token, run)).expect("every run is known");
            kept += known.check(&mut client, run).await;
            if !known.acknowledged.is_empty() {
                expected.push(run);
            }
        }
        if token == TOKENS[0] && !together.is_empty() {
            kept += load::check_together(&mut client, SHARED, together).await;
            expected.push(SHARED);
        }
        expected.sort_unstable();
        let listed = client
            .list_models(ListModelsRequest::default())
            .await
            .expect("lists")
            .into_inner();
        assert_eq!(
            listed
                .models
                .iter()
                .map(|model| model.run_id.as_str())
                .collect::<Vec<_>>(),
            expected
        );
    }
    let mut client = process::dataset_client(address, TOKENS[1]).await;
    kept += datasets.check(&mut client).await;
    let files = std::fs::read_dir(folder.join("blobs"))
        .expect("is there")
        .count();
    assert_eq!(
        files,
        2 * kept,
        "two for each kept version, a model and a reservoir, and for each dataset, a file and its description; no other"
    );
}
