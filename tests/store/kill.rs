//! `kill -9` at any moment: acknowledged writes are there, others are whole or absent.

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

use anomalyd::store::{BlobRef, EmbeddedStore, PointerSwap, Record, Store, StoreOptions, Swap};
use serde::{Deserialize, Serialize};

use crate::store::{child, file_names, folder, get, open};

const WRITERS: usize = 4;
const ROUNDS: u64 = 24;
const BEGIN: &str = "STORE_TEST_BEGIN";

#[derive(Serialize, Deserialize)]
struct Step {
    step: u64,
    blob: BlobRef,
}

/// The key that a writer writes or deletes at a step, one of five.
fn key_of(writer: u64, step: u64) -> Vec<u8> {
    format!("w{writer}-{}", step % 5).into_bytes()
}

fn deletes(step: u64) -> bool {
    step % 7 == 3
}

fn blob_of(writer: u64, step: u64) -> Vec<u8> {
    let size = (step * 7919 % 40_000) as usize;
    format!("{writer}/{step};")
        .into_bytes()
        .repeat(1 + size / 8)
}

/// The steps that a writer's keys hold after `done` steps.
fn state(writer: u64, done: u64) -> BTreeMap<Vec<u8>, u64> {
    let mut state = BTreeMap::new();
    for step in 0..done {
        if deletes(step) {
            state.remove(&key_of(writer, step));
        } else {
            state.insert(key_of(writer, step), step);
        }
    }
    state
}

/// The work of the child.
async fn write_until_killed(folder: &Path) {
    let begin: Vec<u64> =
        serde_json::from_str(&std::env::var(BEGIN).expect("a start")).expect("numbers");
    let store = Arc::new(open(folder));
    let writers = (0..).zip(begin).map(|(writer, begin)| {
        let store = store.clone();
        tokio::spawn(async move {
            for step in begin.. {
                take_step(&store, writer, step).await;
                child::send_line(&format!("{writer} {}", step + 1));
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("no writer fails");
    }
}

async fn take_step(store: &EmbeddedStore, writer: u64, step: u64) {
    let key = key_of(writer, step);
    let old = get(store, &key).await;
    let expected = old.as_ref().map(|old| old.revision);
    let swap = match expected {
        Some(expected) if deletes(step) => Some(PointerSwap::remove(&key, expected)),
        None if deletes(step) => None,
        _ => {
            let blob = store.put_blob(blob_of(writer, step)).await.expect("a blob");
            let id = blob.id();
            let value = rmp_serde::to_vec(&Step { step, blob }).expect("encodable");
            let record = Record::with_blobs(value, vec![id]);
            Some(PointerSwap::put(&key, expected, record))
        }
    };
    if let Some(swap) = swap {
        let outcome = store.swap_pointer(&swap).await.expect("an outcome");
        assert_eq!(outcome, Swap::Done);
    }
    if let Some(old) = old {
        let old: Step = rmp_serde::from_slice(&old.value).expect("a record");
        store.delete_blob(old.blob.name).await.expect("deleted");
    }
}

fn spawn(folder: &Path, done: &[u64]) -> Child {
    child::command(
        "store::kill::what_was_acknowledged_survives_a_kill",
        folder,
        "",
    )
    .env(BEGIN, serde_json::to_string(done).expect("encodable"))
    .spawn()
    .expect("a child")
}

/// Kills the child once it has acknowledged `at_least` steps, and counts those that it acknowledged.
fn kill(mut child: Child, at_least: usize, done: &mut [u64; WRITERS]) -> usize {
    let mut output = BufReader::new(child.stdout.take().expect("its output"));
    let mut seen = Vec::new();
    while child::received_lines(&seen).len() < at_least {
        let read = output.read_until(b'\n', &mut seen).expect("output");
        assert_ne!(read, 0, "it ended by itself");
    }
    child.kill().expect("killed");
    child.wait().expect("ended");
    output.read_to_end(&mut seen).expect("output");
    let lines = child::received_lines(&seen);
    for line in &lines {
        let (writer, steps) = line.split_once(' ').expect("two numbers");
        let writer: usize = writer.parse().expect("a writer");
        done[writer] = steps.parse().expect("a number of steps");
    }
    lines.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_kill() {
    if let Some(folder) = child::folder() {
        return write_until_killed(&folder).await;
    }
    let folder = folder();
    let mut done = [0; WRITERS];
    for round in 0..ROUNDS {
        let child = spawn(folder.path(), &done);
        if round % 2 == 0 {
            // somewhere from the start of the process over the opening to the first writes
            std::thread::sleep(Duration::from_millis(3 * round));
            kill(child, 0, &mut done);
        } else {
            // in the middle of writing
            kill(child, 40 + round as usize, &mut done);
        }
        verify(folder.path(), &mut done).await;
    }
}

#[tokio::test]
async fn a_store_opens_after_a_kill_while_it_was_made() {
    for round in 0..20 {
        let folder = folder();
        let mut done = [0; WRITERS];
        let child = spawn(folder.path(), &done);
        std::thread::sleep(Duration::from_millis(2 * round));
        kill(child, 0, &mut done);
        verify(folder.path(), &mut done).await;
    }
}

/// Checks everything after a kill, and counts the steps that took effect without being acknowledged.
async fn verify(folder: &Path, done: &mut [u64; WRITERS]) {
    let store =
        EmbeddedStore::open(folder, StoreOptions::default()).expect("it opens after a kill");
    store.sweep().await.expect("swept");
    let mut referenced = HashSet::new();
    for (writer, done) in (0..).zip(done) {
        let prefix = format!("w{writer}-").into_bytes();
        let mut found = BTreeMap::new();
        for (key, value) in store
            .scan(&prefix, None, usize::MAX)
            .await
            .expect("records")
        {
            let record: Step = rmp_serde::from_slice(&value).expect("a whole record");
            let blob = store.get_blob(&record.blob).await.expect("a whole blob");
            assert!(
                blob == blob_of(writer, record.step),
                "the blob of another step"
            );
            referenced.insert(record.blob.name);
            found.insert(key, record.step);
        }
        if found != state(writer, *done) {
            *done += 1;
            assert_eq!(
                found,
                state(writer, *done),
                "writer {writer} after {done} steps"
            );
        }
    }
    assert_eq!(file_names(&folder.join("blobs")).len(), referenced.len());
}
