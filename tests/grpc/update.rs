//! Update: learns from new rows without the old ones.

use anomalyd::proto::v1::training_spec::Detector;
use anomalyd::proto::v1::{Gaussian, IsolationForest, Model, Scaler, TrainingSpec};

use crate::grpc::harness::{
    self, by, normal_rows, refusal, scores, server, train, train_as, update, xy,
};

#[tokio::test]
async fn gaussian_moments_after_updates_equal_a_fit_on_the_union() {
    let (server, mut client, _folder) = server().await;
    // far from zero, with holes: the moments are of complete rows only
    let mut values: Vec<f64> = normal_rows(900, 1)
        .into_iter()
        .map(|value| 1e6 + value)
        .collect();
    for hole in [7, 600, 1333] {
        values[hole] = f64::NAN;
    }
    for scaler in [Scaler::None, Scaler::Standard, Scaler::Robust] {
        let request = |run_id: &str, values: &[f64]| {
            train_as(
                run_id,
                xy(values.to_vec()),
                TrainingSpec {
                    scaler: scaler.into(),
                    ..by(Detector::Gaussian(Gaussian::default()))
                },
            )
        };
        client
            .train(request("parts", &values[..200]))
            .await
            .expect("trains");
        for part in values[200..].chunks(400) {
            update(&mut client, "parts", xy(part.to_vec()))
                .await
                .expect("updates");
        }
        let parts = moments(
            harness::get_model(&mut client, "parts")
                .await
                .expect("is there"),
        );
        let union = client
            .train(request("union", &values))
            .await
            .expect("trains")
            .into_inner()
            .model;
        let union = moments(harness::model(union));
        assert_eq!((parts.0, union.0), (897, 897));
        for (a, b) in parts.1.iter().zip(&union.1) {
            assert!(
                (a - b).abs() <= 1e-9 * b.abs(),
                "{scaler:?}: {parts:?} is not {union:?}"
            );
        }
    }
    server.stop().await;
}

/// The number of complete rows; means and covariances in one list.
fn moments(model: Model) -> (u64, Vec<f64>) {
    let moments = model
        .statistics
        .and_then(|statistics| statistics.gaussian_moments)
        .expect("has moments");
    (
        moments.n_complete_rows.expect("counted"),
        [moments.mean, moments.covariance].concat(),
    )
}

fn shifted(n: usize, seed: u64) -> Vec<f64> {
    let rows = normal_rows(n, seed).into_iter();
    rows.map(|value| value + 40.0).collect()
}

#[tokio::test]
async fn rows_of_an_update_are_less_anomalous_afterwards() {
    let (server, mut client, _folder) = server().await;
    for (name, detector) in crate::grpc::detectors::all() {
        let request = train_as(name, xy(normal_rows(500, 1)), by(detector));
        client.train(request).await.expect("trains");
        let probe = xy(vec![40.0, 45.0, 400.0, -450.0]);
        let before = scores(&mut client, name, probe.clone()).await;
        let updated = update(&mut client, name, xy(shifted(500, 2)))
            .await
            .expect("updates");
        assert_eq!((updated.version, updated.n_rows), (2, 1000), "{name}");
        let after = scores(&mut client, name, probe).await;
        assert!(
            after[0] < before[0] && after[0] < after[1],
            "{name}: {before:?} {after:?}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_forest_learns_the_rows_of_updates_and_keeps_what_it_knew() {
    let (server, mut client, _folder) = server().await;
    let request = train_as(
        "shift",
        xy(normal_rows(500, 1)),
        by(Detector::IsolationForest(IsolationForest::default())),
    );
    client.train(request).await.expect("trains");
    let probe = xy(vec![0.0, 5.0, 40.0, 45.0, -40.0, 90.0]);
    let before = scores(&mut client, "shift", probe.clone()).await;
    assert!(before[1] > before[0] + 0.2, "{before:?}");
    let updated = update(&mut client, "shift", xy(shifted(500, 2)))
        .await
        .expect("updates");
    let after = scores(&mut client, "shift", probe).await;
    assert!(
        (after[1] - after[0]).abs() < 0.1,
        "half of all rows are here now: {after:?}"
    );
    assert!(after[2] > after[0] + 0.1, "and none there: {after:?}");
    assert_eq!(updated.n_rows, 1000);
    let statistics = updated.statistics.expect("has statistics");
    assert_eq!(statistics.n_calibration_rows, Some(1000));
    assert_eq!(statistics.n_anomalies, Some(100));
    assert_eq!(statistics.features[0].n_values, Some(1000));
    server.stop().await;
}

#[tokio::test]
async fn the_size_of_a_model_does_not_grow_with_updates() {
    let (server, mut client, folder) = server().await;
    train(&mut client, "long").await;
    for seed in 0..15 {
        update(&mut client, "long", xy(normal_rows(2000, seed)))
            .await
            .expect("updates");
    }
    let described = harness::get_model(&mut client, "long")
        .await
        .expect("is there");
    assert_eq!(described.n_rows, 30_500);
    let calibrated = described
        .statistics
        .expect("has statistics")
        .n_calibration_rows;
    assert_eq!(
        calibrated,
        Some(12_000),
        "10000 rows of the reservoir and 2000 new ones"
    );
    let largest = std::fs::read_dir(folder.path().join("blobs"))
        .expect("is there")
        .map(|file| {
            file.and_then(|file| file.metadata())
                .expect("readable")
                .len()
        })
        .max();
    // the forest, the same as after the first training; all rows would be 488 kB
    assert!(
        largest < Some(320_000),
        "the reservoir holds 160 kB; got {largest:?}"
    );
    server.stop().await;
}

#[tokio::test]
async fn an_update_is_checked_like_a_prediction() {
    let (server, mut client, _folder) = server().await;
    let before = train(&mut client, "checked").await;
    let refused = refusal(
        update(
            &mut client,
            "checked",
            harness::matrix(&["x", "z"], vec![1.0, 2.0]),
        )
        .await,
    );
    assert_eq!(refused.reason, "SCHEMA_MISMATCH");
    assert!(
        refused.message.contains("missing feature \"y\"")
            && refused.message.contains("unknown feature \"z\"")
    );
    assert_eq!(
        refusal(update(&mut client, "unknown", xy(vec![1.0, 2.0])).await).reason,
        "RUN_NOT_FOUND"
    );
    assert_eq!(
        harness::get_model(&mut client, "checked")
            .await
            .expect("is there"),
        before
    );
    let one_row = update(&mut client, "checked", xy(vec![f64::NAN, f64::INFINITY]))
        .await
        .expect("a row is enough");
    let statistics = one_row.statistics.expect("has statistics");
    assert_eq!(
        (statistics.n_missing_values, statistics.n_infinite_values),
        (Some(1), Some(1))
    );
    server.stop().await;
}
