//! Input that is valid and extreme: values at the ends of a double, and requests whose answers would be huge.

use anomalyd::proto::v1::train_request::Detector;
use anomalyd::proto::v1::{Detail, Gaussian, PredictRequest, TrainRequest};
use tonic::Code;

use crate::harness::{matrix, normal_rows, refusal, scores, server, train_request, xy};

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
    for (run_id, detector) in crate::detectors::all() {
        for (case, training) in cases.iter().enumerate() {
            let request = TrainRequest {
                detector: Some(detector.clone()),
                ..train_request(run_id, xy(training.clone()))
            };
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
    let overflowing = TrainRequest {
        detector: Some(Detector::Gaussian(Gaussian::default())),
        ..train_request(
            "huge",
            xy(normal_rows(50, 1)
                .into_iter()
                .map(|value| value * 1e300)
                .collect()),
        )
    };
    let refused = refusal(client.train(overflowing).await);
    assert!(
        refused.reason == "UNUSABLE_ROWS" && refused.message.contains("\"x\""),
        "{refused:?}"
    );
    server.stop().await;
}

#[tokio::test]
async fn an_answer_that_would_be_huge_is_refused() {
    let (server, mut client, _folder) = server().await;
    let long = "x".repeat(250);
    let names = [long.clone() + "1", long + "2"];
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let request = train_request("long", matrix(&names, normal_rows(20, 1)));
    client.train(request).await.expect("trains");
    let request = |n: usize, detail: Detail| PredictRequest {
        run_id: "long".to_owned(),
        records: Some(matrix(&names, vec![NAN; 2 * n])),
        detail: detail.into(),
        version: 0,
    };
    let full = client
        .predict(request(1000, Detail::Full))
        .await
        .expect("answers");
    assert_eq!(full.into_inner().rows.len(), 1000);
    for n in [150_000, 500_000] {
        let refused = refusal(client.predict(request(n, Detail::Full)).await);
        assert_eq!(
            (refused.code, refused.reason.as_str()),
            (Code::ResourceExhausted, "ANSWER_TOO_LARGE"),
            "{refused:?}"
        );
        client
            .predict(request(n, Detail::Scores))
            .await
            .expect("less detail is fine");
    }
    server.stop().await;
}
