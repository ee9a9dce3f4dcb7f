//! Concurrent requests: readers see the old version or the new one; writers of one run lose nothing and never bring
//! back a deleted run.

use std::collections::HashMap;

use anomalyd::proto::v1::training_spec::Detector;
use anomalyd::proto::v1::{DeleteRunRequest, IsolationForest};
use tonic::Code;

use crate::grpc::harness::{
    by, get_model, normal_rows, predict, refusal, scores, server, train, train_as, update, xy,
};

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_updates_are_each_counted_once() {
    let (server, mut client, _folder) = server().await;
    train(&mut client, "busy").await;
    let updates = (0..8).map(|seed| {
        let mut client = client.clone();
        tokio::spawn(async move {
            update(&mut client, "busy", xy(normal_rows(10, seed)))
                .await
                .expect("updates")
                .version
        })
    });
    let mut versions = Vec::new();
    for task in updates.collect::<Vec<_>>() {
        versions.push(task.await.expect("joins"));
    }
    versions.sort_unstable();
    assert_eq!(versions, (2..=9).collect::<Vec<u64>>());
    assert_eq!(
        get_model(&mut client, "busy")
            .await
            .expect("is there")
            .n_rows,
        580
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_trainings_are_numbered_one_after_the_other() {
    let (server, mut client, _folder) = server().await;
    let trainings: Vec<_> = (0..6)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move { train(&mut client, "new").await.version })
        })
        .collect();
    let mut versions = Vec::new();
    for task in trainings {
        versions.push(task.await.expect("joins"));
    }
    versions.sort_unstable();
    assert_eq!(versions, [1, 2, 3, 4, 5, 6]);
    assert_eq!(
        get_model(&mut client, "new")
            .await
            .expect("is there")
            .version,
        6
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_one_version_and_never_a_mixture() {
    let (server, mut client, _folder) = server().await;
    train(&mut client, "read").await;
    let probe = xy(normal_rows(5, 9));
    let writer = {
        let mut client = client.clone();
        tokio::spawn(async move {
            for seed in 0..12 {
                update(&mut client, "read", xy(normal_rows(200, seed)))
                    .await
                    .expect("updates");
            }
        })
    };
    let mut seen: HashMap<u64, (Vec<f64>, Option<f64>)> = HashMap::new();
    while !writer.is_finished() {
        let answer = predict(&mut client, "read", probe.clone())
            .await
            .expect("there is always a version");
        let summary = answer.summary.expect("has a summary");
        let found = (answer.scores, summary.threshold);
        assert_eq!(
            seen.entry(summary.version).or_insert_with(|| found.clone()),
            &found,
            "one version, one answer"
        );
    }
    writer.await.expect("joins");
    assert_eq!(
        get_model(&mut client, "read")
            .await
            .expect("is there")
            .version,
        13
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_run_stays_deleted_whatever_was_under_way() {
    let (server, mut client, folder) = server().await;
    for round in 0..6 {
        let run_id = format!("doomed {round}");
        train(&mut client, &run_id).await;
        // long enough to be under way when the deletion comes
        let training = train_as(
            &run_id,
            xy(normal_rows(5000, 1)),
            by(Detector::IsolationForest(IsolationForest {
                n_estimators: Some(3000),
                ..IsolationForest::default()
            })),
        );
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (mut client, run_id, training) =
                    (client.clone(), run_id.clone(), training.clone());
                tokio::spawn(async move {
                    if writer % 2 == 0 {
                        let records = xy(normal_rows(400, writer));
                        update(&mut client, &run_id, records)
                            .await
                            .map(|model| model.version)
                    } else {
                        let trained = client.train(training).await;
                        trained
                            .map(|response| response.into_inner().model.expect("described").version)
                    }
                })
            })
            .collect();
        tokio::time::sleep(std::time::Duration::from_millis(50 + round * 5)).await;
        client
            .delete_run(DeleteRunRequest {
                run_id: run_id.clone(),
            })
            .await
            .expect("deletes");
        for writer in writers {
            // it came before the deletion, or it was refused
            if let Err(status) = writer.await.expect("joins") {
                let refused = refusal::<()>(Err(status));
                let expected = [
                    (Code::Aborted, "RUN_DELETED"),
                    (Code::NotFound, "RUN_NOT_FOUND"),
                ];
                assert!(
                    expected.contains(&(refused.code, refused.reason.as_str())),
                    "{refused:?}"
                );
            }
        }
        assert_eq!(
            refusal(get_model(&mut client, &run_id).await).code,
            Code::NotFound,
            "round {round}"
        );
    }
    assert_eq!(
        std::fs::read_dir(folder.path().join("blobs"))
            .expect("is there")
            .count(),
        0
    );
    train(&mut client, "after").await;
    assert_eq!(
        scores(&mut client, "after", xy(vec![0.0, 5.0, 9.0, 9.0]))
            .await
            .len(),
        2
    );
    server.stop().await;
}
