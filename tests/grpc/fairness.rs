//! One owner's trainings take all that one owner may have: small predictions and other owners go on, and what is too much is
//! refused.

use std::time::Duration;

use anomalyd::proto::v1::training_spec::Detector;
use anomalyd::proto::v1::{IsolationForest, Knn};
use tokio::task::JoinSet;

use crate::grpc::harness::{
    Server, by, matrix, normal_rows, predict, refusal, train, train_as, train_request, trained, xy,
};

/// Trainings of one owner that run or wait, when one may wait: its first, two more, and the one that waits.
const MOST: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn predictions_and_other_owners_go_on_while_one_owner_trains_as_much_as_it_can() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start_with(folder.path(), |flags| {
        flags.compute_threads = Some("2".to_owned());
        flags.compute_queue = Some("1".to_owned());
    })
    .await;
    let mut alice = server.client("alice").await;
    let mut bob = server.client("bob").await;
    train(&mut alice, "brief").await;
    let neighbors = train_as(
        "neighbors",
        xy(normal_rows(500, 1)),
        by(Detector::Knn(Knn::default())),
    );
    trained(&mut alice, neighbors).await;

    // far longer than all that follows
    let rows = (0..2_000_000).map(|row| f64::from(row % 1000)).collect();
    let forest = by(Detector::IsolationForest(IsolationForest {
        n_estimators: Some(10_000),
        ..IsolationForest::default()
    }));
    let long = train_as("long", matrix(&["x"], rows), forest);
    let mut trainings = JoinSet::new();
    for _ in 0..=MOST {
        let (mut client, long) = (alice.clone(), long.clone());
        trainings.spawn(async move { client.train(long).await.map(drop) });
    }
    let refused = trainings.join_next().await.expect("one is too many");
    assert_eq!(refusal(refused.expect("joins")).reason, "OVERLOADED");

    for run_id in ["brief", "neighbors"] {
        let predicted = predict(&mut alice, run_id, xy(vec![0.0, 5.0])).await;
        assert_eq!(predicted.expect("predicts").rows.len(), 1);
    }
    train(&mut bob, "other owner").await;
    assert!(
        trainings.try_join_next().is_none(),
        "the trainings have run all the time"
    );

    // who leaves gives up their turn, as soon as the server has noticed
    trainings.shutdown().await;
    let next = train_request("next", xy(normal_rows(50, 1)));
    let patience = tokio::time::timeout(Duration::from_secs(60), async {
        while let Err(status) = alice.train(next.clone()).await {
            assert_eq!(refusal::<()>(Err(status)).reason, "OVERLOADED");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    patience.await.expect("there is a turn at last");
    server.stop().await;
}
