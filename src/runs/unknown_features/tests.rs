use super::*;
use crate::memory::Share;
use crate::operations::Operation;
use crate::runs::{Form, RowIds, RowSource, Rows};
use crate::store::faulty::{Fault, Faulty};
use crate::store::{MemoryStore, TokenKey};
use anomaly_detection::pipeline::TrainingSpec;
use anomaly_detection::table::Table;

/// A trained run.
async fn trained() -> (Arc<Runs<Faulty<MemoryStore>>>, Caller, RunId) {
    let store = MemoryStore::new(&TokenKey::from_bytes([1; 32]));
    let caller = Caller {
        owner: store.token_hasher().anonymous(),
        deadline: None,
    };
    let runs = Runs::in_store(Faulty::new(store));
    let run_id = RunId::parse("run".to_owned()).expect("valid");
    let table = Table::from_row_major(None, 1, vec![1.0, 2.0, 4.0]).expect("valid");
    let rows = Rows {
        source: RowSource::Table(table, Form::Rows),
        ids: RowIds::None,
        share: Share::uncounted(),
    };
    let spec = TrainingSpec::default();
    let operation = Operation::alone(caller.owner);
    let training = runs.train(caller, run_id.clone(), None, spec, Some(rows), &operation);
    training.await.expect("trains");
    (runs, caller, run_id)
}

/// Gathers a feature that two rows had.
async fn gather(runs: &Runs<Faulty<MemoryStore>>, caller: &Caller, run_id: &RunId, name: &str) {
    let run_key = key::run_key(caller.owner, run_id.as_str());
    let generation = runs.generation(&run_key).await.expect("reachable");
    let sighting = Sighting {
        feature: UnknownFeature {
            n_rows: 2,
            n_missing: 0,
            moments: None,
        },
        first_ms: 1,
        last_ms: 1,
    };
    let mut gathered = runs.gathered.lock();
    let remembered = gathered.entry(run_key).or_default();
    let sightings = remembered.of(generation).expect("the newest");
    add(sightings, name, &sighting);
}

#[tokio::test]
async fn features_are_seen_once_while_they_are_written() {
    let (runs, caller, run_id) = trained().await;
    gather(&runs, &caller, &run_id, "new").await;
    // the write waits before it is repeated
    for fault in [Fault::UnknownAndNotDone, Fault::UnknownButDone] {
        runs.store.inject([fault]);
        let ((), seen) = tokio::join!(
            runs.flush_unknown_features(),
            runs.unknown_features(&caller, &run_id)
        );
        let seen = seen.expect("readable");
        assert_eq!(seen["new"].feature.n_rows, 2);
        assert!(runs.gathered.lock().is_empty(), "it is written");
        runs.delete_unknown_features(&key::run_key(caller.owner, run_id.as_str()))
            .await
            .expect("reachable");
        gather(&runs, &caller, &run_id, "new").await;
    }
}

#[tokio::test]
async fn what_was_gathered_is_still_written_after_a_panic() {
    let (runs, caller, run_id) = trained().await;
    runs.store.inject([Fault::Panic]);
    gather(&runs, &caller, &run_id, "lost").await;
    let written = tokio::time::timeout(INTERVAL * 10, async {
        while !runs.gathered.lock().is_empty() {
            tokio::time::sleep(INTERVAL / 20).await;
        }
        gather(&runs, &caller, &run_id, "new").await;
        while !runs.gathered.lock().is_empty() {
            tokio::time::sleep(INTERVAL / 20).await;
        }
    });
    written.await.expect("the panic did not end the writing");
    let seen = runs.unknown_features(&caller, &run_id).await;
    assert_eq!(
        seen.expect("readable").into_keys().collect::<Vec<_>>(),
        ["new"]
    );
}
