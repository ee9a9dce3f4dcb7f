//! Stores that builds of this program have written, which every later build opens: it has all that was acknowledged, and gives the
//! same answers.
//!
//! Each folder beside this file is a data folder, whose files are compressed one by one, and `answers`, which were given from it.
//! `GOLDEN_STORE=NAME cargo test --test all golden::` writes another one. That is due when bytes are stored in a new form; the old
//! ones stay.

mod content;

use std::fs;
use std::path::{Path, PathBuf};

use anomalyd::proto::v1::{ListModelsRequest, Predictions};
use prost::Message as _;

use crate::grpc::harness::Server;
use crate::settings::setting;
use content::OWNER;

/// Where the stores are kept.
fn stores() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Where the answers of a store are kept.
const ANSWERS: &str = "answers";

/// What is not kept: it is made anew at a start.
const MADE_AT_START: [&str; 3] = ["lock", "reserve", "control.sock"];

/// All files below a folder, by their paths from there.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = PathBuf::from(path.file_name().expect("a name"));
        match path.is_dir() {
            true => found.extend(files(&path).into_iter().map(|file| name.join(file))),
            false => found.push(name),
        }
    }
    found
}

fn copy(from: &Path, to: &Path, each: impl Fn(&[u8]) -> std::io::Result<Vec<u8>>) {
    let folder = to.parent().expect("a file is in a folder");
    fs::create_dir_all(folder).expect("writable");
    let bytes = fs::read(from).expect("readable");
    fs::write(to, each(&bytes).expect("(de)compressed")).expect("writable");
}

async fn write(store: &Path) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start(folder.path()).await;
    content::write(&server).await;
    for (run_id, predictions) in content::answers(&server).await {
        let answers = store.join(ANSWERS);
        fs::create_dir_all(&answers).expect("writable");
        fs::write(answers.join(run_id), predictions.encode_to_vec()).expect("writable");
    }
    server.stop().await;
    for file in files(folder.path()) {
        if MADE_AT_START.iter().all(|made| file != Path::new(made)) {
            let compress = |bytes: &[u8]| zstd::encode_all(bytes, 19);
            copy(&folder.path().join(&file), &store.join(&file), compress);
        }
    }
}

async fn open(store: &Path) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for file in files(store) {
        if !file.starts_with(ANSWERS) {
            let to = folder.path().join(&file);
            copy(&store.join(&file), &to, |bytes| zstd::decode_all(bytes));
        }
    }
    let server = Server::start(folder.path()).await;
    let mut client = server.client(OWNER).await;
    let listed = client.list_models(ListModelsRequest::default()).await;
    let listed = listed.expect("it lists them").into_inner().models;
    let answers = content::answers(&server).await;
    assert_eq!(listed.len(), answers.len(), "{listed:?}");
    assert_eq!(answers.len(), files(&store.join(ANSWERS)).len());
    for (run_id, given) in &answers {
        let kept = fs::read(store.join(ANSWERS).join(run_id)).expect("kept");
        let kept = Predictions::decode(&kept[..]).expect("an answer");
        let bits = |predictions: &Predictions| -> Vec<u64> {
            predictions
                .scores
                .iter()
                .map(|score| score.to_bits())
                .collect()
        };
        assert_eq!(bits(given), bits(&kept), "{run_id} of {}", store.display());
        assert_eq!(
            given.is_anomaly,
            kept.is_anomaly,
            "{run_id} of {}",
            store.display()
        );
    }
    content::check_the_rest(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn stores_of_earlier_builds_are_opened_and_answer_as_they_did() {
    if let Some(name) = setting::<String>("GOLDEN_STORE") {
        write(&stores().join(name)).await;
    }
    let entries = fs::read_dir(stores()).expect("a folder");
    let kept: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .collect();
    assert!(!kept.is_empty(), "there is a store");
    for store in kept {
        open(&store).await;
    }
}
