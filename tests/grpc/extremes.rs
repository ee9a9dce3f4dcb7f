//! Input that is valid and extreme: values at the ends of a double.

use anomalyd::proto::v1::Gaussian;
use anomalyd::proto::v1::training_spec::Detector;

use crate::grpc::harness::{by, normal_rows, refusal, scores, server, train_as, xy};

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

#[tokio::test]
async fn extreme_but_valid_rows_get_sane_models() {
    let (server, mut client, _folder) = server().await;
    let constant = [7.0, 7.0].repeat(20);
    let duplicates = [[1.0, 2.0].repeat(15), [3.0, 4.0].repeat(5)].concat();
    let huge: Vec<f64> = normal_rows(50, 1)
        .into_iter()
        .map(|value| value * 1e140)
        .collect();
    let tiny: Vec<f64> = normal_rows(50, 1)
        .into_iter()
        .map(|value| value * 1e-300)
        .collect();
    let close: Vec<f64> = (0..40).map(|value| 1e9 + f64::from(value % 2)).collect();
    let two = vec![1.0, 2.0, 3.0, 5.0];
    let cases = [constant, duplicates, huge, tiny, close, two];
    for (run_id, detector) in crate::grpc::detectors::all() {
        for (case, training) in cases.iter().enumerate() {
            let request = train_as(run_id, xy(training.clone()), by(detector.clone()));
            let trained = client.train(request).await;
            if run_id == "pca" && [0, 3, 4].contains(&case) {
                let refused = refusal(trained);
                assert_eq!(refused.reason, "UNUSABLE_ROWS", "no variance is left");
                continue;
            }
            trained.unwrap_or_else(|status| panic!("{run_id} {case}: {status:?}"));
            let mut probe = training.clone();
            probe.extend([1e300, -1e300, 1e-300, 0.0, NAN, INF, f64::MAX, f64::MIN]);
            let found = scores(&mut client, run_id, xy(probe)).await;
            assert!(
                found.iter().all(|score| score.is_finite()),
                "{run_id} {case}: {found:?}"
            );
        }
    }
    let overflowing = train_as(
        "huge",
        xy(normal_rows(50, 1)
            .into_iter()
            .map(|value| value * 1e300)
            .collect()),
        by(Detector::Gaussian(Gaussian::default())),
    );
    let refused = refusal(client.train(overflowing).await);
    assert!(
        refused.reason == "UNUSABLE_ROWS" && refused.message.contains("\"x\""),
        "{refused:?}"
    );
    server.stop().await;
}
