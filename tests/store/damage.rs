//! Damage to any file of a store: bits that are flipped, files that are cut, zeroed or deleted. A start is refused, or whatever was
//! lost cannot be read; never is anything silently gone, or an older answer given.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};

use anomalyd::store::{
    BlobRef, EmbeddedStore, LogName, Owner, PointerSwap, Record, Retain, Store, StoreError,
    StoreOptions,
};
use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use crate::settings::setting;
use crate::store::{copy_folder, file_names, folder, get, open, put};

const PLACES: u64 = 60;

/// What was acknowledged.
#[derive(Default)]
struct Acknowledged {
    records: BTreeMap<Vec<u8>, Vec<u8>>,
    blobs: Vec<(BlobRef, Vec<u8>)>,
    logs: Vec<(LogName, Vec<Bytes>)>,
    owner: Option<Owner>,
}

/// Writes a store in several openings, so that its databases have several segments and snapshots, and old versions of everything.
async fn write(folder: &Path) -> Acknowledged {
    let mut known = Acknowledged::default();
    let mut blobs = BTreeMap::new();
    for round in 0..6_u8 {
        let store = open(folder);
        known.owner = Some(store.token_hasher().owner_of(b"token"));
        for i in 0..30_u8 {
            let key = vec![b'r', i];
            if round == 4 && i % 5 == 0 {
                if let Some(pointer) = get(&store, &key).await {
                    let removal = PointerSwap::remove(&key, pointer.revision);
                    store.swap_pointer(&removal).await.expect("removed");
                }
                known.records.remove(&key);
                if let Some((blob, _)) = blobs.remove(&key) {
                    let blob: BlobRef = blob;
                    store.delete_blob(blob.name).await.expect("deleted");
                }
                continue;
            }
            let bytes = [round, i].repeat(1 + usize::from(i) * 50);
            let blob = store.put_blob(bytes.clone()).await.expect("a blob");
            let value = [round, i].repeat(1000);
            let record = Record::with_blobs(value.clone(), vec![blob.id()]);
            put(&store, &key, record).await;
            known.records.insert(key.clone(), value);
            if let Some((old, _)) = blobs.insert(key, (blob, bytes)) {
                store.delete_blob(old.name).await.expect("deleted");
            }
        }
        if round == 0 {
            for i in 0..3_u8 {
                let log = store.create_log().await.expect("a log");
                let record = Record {
                    logs: vec![log],
                    ..Record::new(vec![i])
                };
                put(&store, &[b's', i], record).await;
                known.records.insert(vec![b's', i], vec![i]);
                known.logs.push((log, Vec::new()));
            }
        }
        for (log, entries) in &mut known.logs {
            let more: Vec<Bytes> = (0..20).map(|i| [round, i].repeat(300).into()).collect();
            store.append(*log, more.clone()).await.expect("appended");
            entries.extend(more);
        }
    }
    let store = open(folder);
    let (log, entries) = &mut known.logs[0];
    let trimmed = store.trim_log(*log, Retain::From(31)).await;
    trimmed.expect("trimmed");
    entries.drain(..30);
    known.blobs = blobs.into_values().collect();
    known
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let (folders, mut found): (Vec<_>, Vec<_>) = paths.partition(|path| path.is_dir());
    for folder in folders {
        found.extend(files(&folder));
    }
    found
}

/// What a file is, by its path in the folder of the store.
fn kind(path: &Path) -> String {
    let path = path.to_str().expect("a plain path");
    match path.split_once('/') {
        Some(("blobs", _)) => "a blob".to_owned(),
        Some(("logs", name)) if !name.contains('/') => "a segment".to_owned(),
        _ => match path.split_once("snap.") {
            Some((database, _)) => format!("{database}snap"),
            None => path.to_owned(),
        },
    }
}

/// Damages a file. Returns what was done.
fn damage(path: &Path, rng: &mut SmallRng) -> String {
    let mut bytes = fs::read(path).expect("readable");
    let at = rng.random_range(0..bytes.len().max(1));
    let done = match rng.random_range(0..10) {
        0 => {
            fs::remove_file(path).expect("removable");
            return "deleted".to_owned();
        }
        1 | 2 => {
            bytes.truncate(at);
            format!("cut at {at}")
        }
        3..6 => {
            let end = (at + rng.random_range(1..8192)).min(bytes.len());
            bytes[at..end].fill(0);
            format!("zeroed from {at} to {end}")
        }
        _ => {
            let bit = rng.random_range(0..8);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << bit;
            }
            format!("bit {bit} of byte {at} flipped")
        }
    };
    fs::write(path, bytes).expect("writable");
    done
}

/// Checks that a store that was opened serves what was acknowledged, or fails. Returns how many reads failed.
async fn check(store: &EmbeddedStore, known: &Acknowledged) -> usize {
    let mut n_failed = 0;
    let mut fails = |error: &StoreError| {
        let is_loss = matches!(
            error,
            StoreError::Damaged { .. } | StoreError::BlobNotFound { .. } | StoreError::LogNotFound
        );
        assert!(is_loss, "another error: {error}");
        n_failed += 1;
    };
    assert_eq!(Some(store.token_hasher().owner_of(b"token")), known.owner);
    match store.scan(b"", None, usize::MAX).await {
        Ok(found) => assert!(found.into_iter().eq(known.records.clone()), "other records"),
        Err(error) => fails(&error),
    }
    for (key, value) in &known.records {
        match store.get_pointer(key).await {
            Ok(found) => assert_eq!(found.map(|found| found.value).as_ref(), Some(value)),
            Err(error) => fails(&error),
        }
    }
    for (blob, bytes) in &known.blobs {
        match store.get_blob(blob).await {
            Ok(found) => assert_eq!(&found, bytes),
            Err(error) => fails(&error),
        }
    }
    for (log, entries) in &known.logs {
        match store.read_log(*log, 0, usize::MAX, usize::MAX).await {
            Ok(found) => assert!(found.iter().map(|entry| &entry.bytes).eq(entries)),
            Err(error) => fails(&error),
        }
    }
    n_failed
}

#[tokio::test]
#[expect(
    clippy::print_stdout,
    reason = "shown when the test fails, to repeat it"
)]
async fn damage_is_refused_or_reported_and_never_taken_for_the_truth() {
    let n_places = setting("STORE_DAMAGE_PLACES").unwrap_or(PLACES);
    let seed = setting("STORE_DAMAGE_SEED");
    let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(n_places));
    println!("STORE_DAMAGE_SEED={seed}");
    let mut rng = SmallRng::seed_from_u64(seed);

    let (stopped, in_use) = (folder(), folder());
    let known = write(stopped.path()).await;
    // as a power cut would leave it
    let store = open(stopped.path());
    copy_folder(stopped.path(), in_use.path());
    drop(store);

    let mut outcomes: BTreeMap<(String, &str), usize> = BTreeMap::new();
    for place in 0..n_places {
        let whole = [&stopped, &in_use].choose(&mut rng).expect("two").path();
        let mut kinds: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for file in files(whole) {
            let file = file.strip_prefix(whole).expect("below").to_owned();
            kinds.entry(kind(&file)).or_default().push(file);
        }
        let kinds: Vec<_> = kinds.into_iter().collect();
        let (kind, files) = kinds.choose(&mut rng).expect("files");
        let file = files.choose(&mut rng).expect("a file");
        let damaged = folder();
        copy_folder(whole, damaged.path());
        let done = damage(&damaged.path().join(file), &mut rng);
        println!("place {place}: {} {done}", file.display());

        let outcome = match EmbeddedStore::open(damaged.path(), StoreOptions::default()) {
            Err(_) => {
                // and so it stays
                let again = EmbeddedStore::open(damaged.path(), StoreOptions::default());
                again.expect_err("refused before");
                "refused"
            }
            Ok(store) => {
                store.sweep().await.expect("swept");
                match check(&store, &known).await {
                    0 => "whole",
                    _ => "reported",
                }
            }
        };
        println!("  {outcome}");
        // a blob may be the file that was deleted
        let n_blobs = file_names(&damaged.path().join("blobs")).len();
        assert!(n_blobs + 1 >= known.blobs.len(), "blobs were swept");
        *outcomes.entry((kind.clone(), outcome)).or_default() += 1;
    }
    for ((kind, outcome), n) in &outcomes {
        println!("{kind}: {outcome} {n} times");
    }
    let count = |wanted: &str| {
        let such = outcomes
            .iter()
            .filter(|((_, outcome), _)| *outcome == wanted);
        such.map(|(_, n)| n).sum::<usize>()
    };
    assert!(count("refused") > 0 && count("reported") + count("whole") > 0);
}
