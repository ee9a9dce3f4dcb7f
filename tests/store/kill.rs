//! `kill -9` at any moment: what was acknowledged is there, the rest is whole or absent.

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead as _, BufReader, Read as _};
use std::sync::Arc;
use std::time::Duration;

use anomalyd::store::{BlobRef, EmbeddedStore, Store, StoreOptions, Swap, sweep};
use serde::{Deserialize, Serialize};

use crate::{child, file_names, folder, get, open};

const WRITERS: u64 = 4;
const ROUNDS: u64 = 24;
const BEGIN: &str = "STORE_TEST_BEGIN";

#[derive(Serialize, Deserialize)]
struct Record {
    step: u64,
    blob: BlobRef,
}

/// What a writer does at a step: it writes one of its five keys, or deletes it.
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child of the next test, which kills it"]
async fn write_until_killed() {
    let begin: Vec<u64> =
        serde_json::from_str(&std::env::var(BEGIN).expect("a start")).expect("numbers");
    let store = Arc::new(open(&child::folder()));
    let writers = (0..WRITERS).zip(begin).map(|(writer, begin)| {
        let store = store.clone();
        tokio::spawn(async move {
            for step in begin.. {
                take_step(&store, writer, step).await;
                child::tell(&format!("{writer} {}", step + 1));
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
    let value = if deletes(step) {
        None
    } else {
        let blob = store.put_blob(blob_of(writer, step)).await.expect("a blob");
        Some(rmp_serde::to_vec(&Record { step, blob }).expect("encodable"))
    };
    let expected = old.as_ref().map(|old| old.revision);
    let swap = store
        .swap_pointer(&key, expected, value)
        .await
        .expect("an outcome");
    assert_eq!(swap, Swap::Done);
    if let Some(old) = old {
        let old: Record = rmp_serde::from_slice(&old.value).expect("a record");
        store.delete_blob(old.blob.name).await.expect("deleted");
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let folder = folder();
    let mut done = vec![0; WRITERS as usize];
    let mut acknowledged = 0;
    for round in 0..ROUNDS {
        let mut child = child::command("kill::write_until_killed", folder.path(), "")
            .env(BEGIN, serde_json::to_string(&done).expect("encodable"))
            .spawn()
            .expect("a child");
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        let mut seen = Vec::new();
        if round % 2 == 0 {
            // somewhere from the start of the process over the opening to the first writes
            std::thread::sleep(Duration::from_millis(3 * round));
        } else {
            // in the midst of writing
            while child::told(&seen).len() < 40 + round as usize {
                assert_ne!(
                    output.read_until(b'\n', &mut seen).expect("output"),
                    0,
                    "it ended by itself"
                );
            }
        }
        child.kill().expect("killed");
        child.wait().expect("ended");
        output.read_to_end(&mut seen).expect("output");
        for line in child::told(&seen) {
            let (writer, steps) = line.split_once(' ').expect("two numbers");
            let writer: usize = writer.parse().expect("a writer");
            done[writer] = steps.parse().expect("a number of steps");
            acknowledged += 1;
        }
        verify(folder.path(), &mut done).await;
    }
    assert!(
        acknowledged > 40 * ROUNDS / 2,
        "only {acknowledged} writes were acknowledged"
    );
}

/// Checks everything after a kill, and counts the steps that took effect without being acknowledged.
async fn verify(folder: &std::path::Path, done: &mut [u64]) {
    let store =
        EmbeddedStore::open(folder, StoreOptions::default()).expect("it opens after a kill");
    let mut referenced = HashSet::new();
    for (writer, done) in (0..).zip(done) {
        let prefix = format!("w{writer}-").into_bytes();
        let mut found = BTreeMap::new();
        for (key, value) in store
            .scan(&prefix, None, usize::MAX)
            .await
            .expect("records")
        {
            let record: Record = rmp_serde::from_slice(&value).expect("a whole record");
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
    sweep(&store, &referenced).await.expect("swept");
    assert_eq!(file_names(&folder.join("blobs")).len(), referenced.len());
}
