//! `kill -9` while logs are appended to, trimmed and replaced.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

use anomalyd::store::{EmbeddedStore, LogName, PointerSwap, Record, Retain, Revision, Store, Swap};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::store::{child, file_names, folder, get, open};

const WRITERS: usize = 5;
const ROUNDS: u64 = 16;

/// A writer's record.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Owned {
    /// How many logs the writer had before.
    generation: u64,
    log: LogName,
}

/// The writes acknowledged to a writer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Acknowledged {
    generation: u64,
    next: u64,
    first: u64,
}

fn key(writer: usize) -> Vec<u8> {
    format!("log-{writer}").into_bytes()
}

fn entry(writer: usize, generation: u64, sequence: u64) -> Bytes {
    let size = (sequence * 7919 % 30_000) as usize;
    let text = format!("{writer}/{generation}/{sequence};");
    text.into_bytes().repeat(1 + size / 12).into()
}

/// Replaces the writer's log by a new one.
async fn renew(
    store: &EmbeddedStore,
    writer: usize,
    generation: u64,
    expected: Option<Revision>,
) -> (Owned, Revision) {
    let log = store.create_log().await.expect("a log");
    let owned = Owned { generation, log };
    let record = Record {
        logs: vec![log],
        ..Record::new(rmp_serde::to_vec(&owned).expect("encodable"))
    };
    let swap = PointerSwap::put(&key(writer), expected, record);
    let outcome = store.swap_pointer(&swap).await.expect("an outcome");
    assert_eq!(outcome, Swap::Done);
    let pointer = get(store, &key(writer)).await.expect("just written");
    (owned, pointer.revision)
}

async fn owned(store: &EmbeddedStore, writer: usize) -> Option<(Owned, Revision)> {
    let pointer = get(store, &key(writer)).await?;
    let owned = rmp_serde::from_slice(&pointer.value).expect("a whole record");
    Some((owned, pointer.revision))
}

/// The work of the child.
async fn write_until_killed(folder: &Path) {
    let store = Arc::new(open(folder));
    store.sweep().await.expect("swept");
    let writers = (0..WRITERS).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            let (mut owned, mut revision) = match owned(&store, writer).await {
                Some(found) => found,
                None => renew(&store, writer, 0, None).await,
            };
            for step in 0_u64.. {
                let bounds = store.log_bounds(owned.log).await.expect("the log");
                let mut now = Acknowledged {
                    generation: owned.generation,
                    next: bounds.next,
                    first: bounds.first,
                };
                match (step + writer as u64) % 23 {
                    11 => {
                        let old = owned.log;
                        let generation = owned.generation + 1;
                        (owned, revision) = renew(&store, writer, generation, Some(revision)).await;
                        store.delete_log(old).await.expect("deleted");
                        now = Acknowledged {
                            generation,
                            next: 1,
                            first: 1,
                        };
                    }
                    5 | 17 => {
                        let from = bounds.first + (bounds.next - bounds.first) / 2;
                        let retain = Retain::From(from);
                        store.trim_log(owned.log, retain).await.expect("trimmed");
                        now.first = from;
                    }
                    n => {
                        let numbers = bounds.next..bounds.next + n;
                        let entries = numbers.map(|i| entry(writer, owned.generation, i));
                        let appended = store.append(owned.log, entries.collect()).await;
                        assert_eq!(appended.expect("appended").len() as u64, n);
                        now.next += n;
                    }
                }
                let Acknowledged {
                    generation,
                    next,
                    first,
                } = now;
                child::send_line(&format!("{writer} {generation} {next} {first}"));
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("no writer fails");
    }
}

fn kill(mut child: Child, at_least: usize, acknowledged: &mut [Acknowledged; WRITERS]) {
    let mut output = BufReader::new(child.stdout.take().expect("its output"));
    let mut seen = Vec::new();
    while child::received_lines(&seen).len() < at_least {
        let read = output.read_until(b'\n', &mut seen).expect("output");
        assert_ne!(read, 0, "it ended by itself");
    }
    child.kill().expect("killed");
    child.wait().expect("ended");
    output.read_to_end(&mut seen).expect("output");
    for line in child::received_lines(&seen) {
        let numbers: Vec<u64> = line
            .split(' ')
            .map(|number| number.parse().expect("a number"))
            .collect();
        let [writer, generation, next, first] = numbers[..] else {
            panic!("four numbers, not {line}");
        };
        let now = Acknowledged {
            generation,
            next,
            first,
        };
        let last = &mut acknowledged[writer as usize];
        assert!(*last <= now, "{last:?} then {now:?}");
        *last = now;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_entries_survive_a_kill() {
    if let Some(folder) = child::folder() {
        return write_until_killed(&folder).await;
    }
    let folder = folder();
    let mut acknowledged = [Acknowledged::default(); WRITERS];
    for round in 0..ROUNDS {
        let test = "store::kill_logs::acknowledged_entries_survive_a_kill";
        let child = child::command(test, folder.path(), "")
            .spawn()
            .expect("a child");
        if round % 3 == 0 {
            std::thread::sleep(Duration::from_millis(4 * round));
            kill(child, 0, &mut acknowledged);
        } else {
            kill(child, 30 + 5 * round as usize, &mut acknowledged);
        }
        verify(folder.path(), &mut acknowledged).await;
    }
    let n_logs: u64 = acknowledged
        .iter()
        .map(|acknowledged| acknowledged.generation)
        .sum();
    assert!(n_logs > 0, "logs came and went");
}

/// Compares the store with what was acknowledged; a write under way may have taken effect as a
/// whole.
async fn verify(folder: &Path, acknowledged: &mut [Acknowledged; WRITERS]) {
    let store = open(folder);
    store.sweep().await.expect("swept");
    let mut live = HashSet::new();
    for (writer, acknowledged) in acknowledged.iter_mut().enumerate() {
        let Some((owned, _)) = owned(&store, writer).await else {
            assert_eq!(*acknowledged, Acknowledged::default(), "writer {writer}");
            continue;
        };
        let bounds = store.log_bounds(owned.log).await.expect("the log");
        let found = Acknowledged {
            generation: owned.generation,
            next: bounds.next,
            first: bounds.first,
        };
        assert!(
            found >= *acknowledged,
            "{found:?}, but {acknowledged:?} was acknowledged"
        );
        match found.generation - acknowledged.generation {
            0 => {
                assert!(
                    found.first >= acknowledged.first,
                    "{found:?} after {acknowledged:?}"
                );
                let more = found.next - acknowledged.next.max(1);
                assert!(
                    more < 23,
                    "{found:?} after {acknowledged:?}: one append at most"
                );
            }
            1 => assert_eq!((found.next, found.first), (1, 1)),
            _ => panic!("{found:?} after {acknowledged:?}"),
        }
        let read = store.read_log(owned.log, 0, usize::MAX, usize::MAX).await;
        let numbers = read.expect("whole entries").into_iter().map(|read| {
            let expected = entry(writer, owned.generation, read.sequence);
            assert!(read.bytes == expected, "another entry");
            read.sequence
        });
        assert!(numbers.eq(bounds.first..bounds.next));
        live.insert(owned.log.to_string());
        *acknowledged = found;
    }
    if folder.join("logs").exists() {
        for name in file_names(&folder.join("logs")) {
            let log = name.split('.').next().unwrap_or_default();
            assert!(
                name.starts_with("heads") || live.contains(log),
                "{name} is left behind"
            );
        }
    }
}
