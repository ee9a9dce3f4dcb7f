//! The promises of each detector, through the API.

use anomalyd::proto::v1::training_spec::{Detector, Policy};
use anomalyd::proto::v1::{
    Auto, Baseline, Ecod, Gaussian, Hbos, IsolationForest, Knn, Lesinn, LocalOutlierFactor,
    OneClassSvm, Pca, Scaler, TrainRequest, TrainingSpec, ZScore,
};
use tonic::Code;

use crate::grpc::harness::{
    self, by, matrix, normal_rows, predict, refusal, rows, scores, server, spec, train_as,
    train_request, update, xy,
};

/// A run id and a detector for each algorithm that learns without labels.
pub(crate) fn all() -> Vec<(&'static str, Detector)> {
    vec![
        ("auto", Detector::Auto(Auto::default())),
        ("ecod", Detector::Ecod(Ecod::default())),
        (
            "extended_forest",
            Detector::IsolationForest(IsolationForest {
                ndim: Some(2),
                ..IsolationForest::default()
            }),
        ),
        ("gaussian", Detector::Gaussian(Gaussian::default())),
        ("hbos", Detector::Hbos(Hbos::default())),
        (
            "isolation_forest",
            Detector::IsolationForest(IsolationForest::default()),
        ),
        ("knn", Detector::Knn(Knn::default())),
        ("lesinn", Detector::Lesinn(Lesinn::default())),
        (
            "local_outlier_factor",
            Detector::LocalOutlierFactor(LocalOutlierFactor::default()),
        ),
        (
            "one_class_svm",
            Detector::OneClassSvm(OneClassSvm::default()),
        ),
        ("pca", Detector::Pca(Pca::default())),
        ("z_score", Detector::ZScore(ZScore::default())),
    ]
}

#[tokio::test]
async fn every_detector_with_every_scaler_finds_distant_rows() {
    let (server, mut client, _folder) = server().await;
    for (name, detector) in all() {
        let scalers = match name {
            "auto" | "lesinn" => vec![Scaler::Unspecified, Scaler::None],
            _ => vec![
                Scaler::Unspecified,
                Scaler::None,
                Scaler::Standard,
                Scaler::Robust,
            ],
        };
        for scaler in scalers {
            let request = train_as(
                name,
                xy(normal_rows(500, 1)),
                TrainingSpec {
                    scaler: scaler.into(),
                    ..by(detector.clone())
                },
            );
            client.train(request).await.expect("trains");
            let mut probe = normal_rows(20, 2);
            probe.extend([30.0, 5.0, 0.0, -40.0]);
            let found = scores(&mut client, name, xy(probe)).await;
            let most_normal = found[..20].iter().copied().fold(f64::MIN, f64::max);
            assert!(
                found[20] > most_normal && found[21] > most_normal,
                "{name} {scaler:?}: {found:?}"
            );
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn the_threshold_is_the_quantile_or_the_given_one() {
    let (server, mut client, _folder) = server().await;
    for (name, detector) in all() {
        let request = train_as(
            name,
            xy(normal_rows(1000, 1)),
            TrainingSpec {
                policy: Some(Policy::Contamination(0.02)),
                ..by(detector.clone())
            },
        );
        let trained = harness::trained(&mut client, request).await;
        assert_eq!(spec(&trained).policy, Some(Policy::Contamination(0.02)));
        let found = trained
            .statistics
            .expect("has statistics")
            .n_anomalies
            .expect("counted");
        // scores of histograms have more ties than others
        let least = if name == "hbos" { 5 } else { 18 };
        assert!(
            (least..=20).contains(&found),
            "{name}: a fiftieth of 1000 rows, but for ties; got {found}"
        );

        let given = TrainingSpec {
            policy: Some(Policy::Threshold(0.7)),
            ..by(detector)
        };
        let given = train_as(name, xy(normal_rows(1000, 1)), given);
        let trained = harness::trained(&mut client, given).await;
        assert_eq!(trained.threshold, Some(0.7));
        match spec(&trained).detector {
            // the same, by its own parameter
            Some(Detector::ZScore(z_score)) => assert_eq!(z_score.multiplier, Some(0.7)),
            _ => assert_eq!(spec(&trained).policy, Some(Policy::Threshold(0.7))),
        }
        let updated = update(&mut client, name, xy(normal_rows(100, 2)))
            .await
            .expect("updates");
        assert_eq!(updated.threshold, Some(0.7), "a given threshold stays");
    }
    for policy in [Policy::Contamination(0.1), Policy::Threshold(0.7)] {
        let both = TrainingSpec {
            policy: Some(policy),
            ..by(Detector::ZScore(ZScore {
                multiplier: Some(2.0),
                baselines: Vec::new(),
            }))
        };
        let both = train_as("both", xy(normal_rows(1000, 1)), both);
        let refused = refusal(client.train(both).await);
        assert_eq!(refused.field, "spec.z_score.multiplier");
    }
    server.stop().await;
}

#[tokio::test]
async fn scales_follow_the_detector_and_some_bring_their_own() {
    let (server, mut client, _folder) = server().await;
    for (name, detector) in all() {
        let expected = match name {
            "knn" | "local_outlier_factor" | "one_class_svm" | "pca" => Scaler::Standard,
            _ => Scaler::None,
        };
        let request = train_as(name, xy(normal_rows(100, 1)), by(detector.clone()));
        let trained = harness::trained(&mut client, request).await;
        assert_eq!(spec(&trained).scaler(), expected, "{name}");
        if matches!(name, "auto" | "lesinn") {
            let scaled = TrainingSpec {
                scaler: Scaler::Standard.into(),
                ..by(detector)
            };
            let scaled = train_as(name, xy(normal_rows(100, 1)), scaled);
            assert_eq!(refusal(client.train(scaled).await).field, "spec.scaler");
        }
    }
    let unnamed = harness::train(&mut client, "unnamed").await;
    assert_eq!(unnamed.detector_name, "auto");
    server.stop().await;
}

#[tokio::test]
async fn gaussian_answers_with_all_its_figures() {
    let (server, mut client, _folder) = server().await;
    // mean (2, 10), variances 4 and 1, no covariance, with n - 1 = 3 in the denominator
    let a = 6f64.sqrt();
    let b = 1.5f64.sqrt();
    let training = vec![2.0 - a, 10.0, 2.0 + a, 10.0, 2.0, 10.0 - b, 2.0, 10.0 + b];
    for scaler in [Scaler::None, Scaler::Standard, Scaler::Robust] {
        let request = train_as(
            "gaussian",
            xy(training.clone()),
            TrainingSpec {
                scaler: scaler.into(),
                ..by(Detector::Gaussian(Gaussian { ridge: Some(0.0) }))
            },
        );
        let trained = harness::trained(&mut client, request).await;
        let moments = trained
            .statistics
            .and_then(|s| s.gaussian_moments)
            .expect("has moments");
        close(&moments.mean, &[2.0, 10.0]);
        close(&moments.covariance, &[4.0, 0.0, 0.0, 1.0]);

        let row = predict(&mut client, "gaussian", xy(vec![4.0, 12.0]))
            .await
            .expect("predicts")
            .rows[0]
            .clone();
        let gaussian = row.figures.expect("has figures");
        close(&gaussian.z_scores, &[1.0, 2.0]);
        let log_density = -(std::f64::consts::TAU * 2.0).ln() - 2.5;
        close(
            &[
                gaussian.mahalanobis.expect("set"),
                gaussian.log_density.expect("set"),
                gaussian.density.expect("set"),
                gaussian.normalized_density.expect("set"),
            ],
            &[5f64.sqrt(), log_density, log_density.exp(), (-2.5f64).exp()],
        );
        assert_eq!(row.score, gaussian.mahalanobis);
    }
    server.stop().await;
}

#[track_caller]
fn close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (f, e) in found.iter().zip(expected) {
        assert!(
            (f - e).abs() <= 1e-9 * e.abs().max(1.0),
            "{found:?} is not {expected:?}"
        );
    }
}

#[tokio::test]
async fn z_score_works_from_given_baselines_alone() {
    let (server, mut client, _folder) = server().await;
    let baseline = |feature: &str, mean, std| Baseline {
        feature: feature.to_owned(),
        mean: Some(mean),
        std: Some(std),
    };
    let request = TrainRequest {
        run_id: "baselines".to_owned(),
        spec: Some(by(Detector::ZScore(ZScore {
            multiplier: Some(2.0),
            baselines: vec![
                baseline("temperature", 20.0, 5.0),
                baseline("load", 0.5, 0.1),
            ],
        }))),
        ..TrainRequest::default()
    };
    let trained = harness::trained(&mut client, request.clone()).await;
    assert_eq!((trained.threshold, trained.n_rows), (Some(2.0), 0));
    let Some(Detector::ZScore(z_score)) = spec(&trained).detector else {
        panic!("a z_score model")
    };
    assert_eq!(
        (z_score.multiplier, z_score.baselines.len()),
        (Some(2.0), 2)
    );

    let found = predict(
        &mut client,
        "baselines",
        rows(serde_json::json!([{"load": 0.5, "temperature": 31}, {"load": 0.31, "temperature": null}])),
    )
    .await
    .expect("predicts");
    close(&found.scores, &[2.2, 1.9]);
    assert_eq!(found.is_anomaly, [true, false]);

    let refused = refusal(
        update(
            &mut client,
            "baselines",
            matrix(&["temperature", "load"], vec![1.0, 2.0]),
        )
        .await,
    );
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (Code::FailedPrecondition, "UPDATE_REFUSED")
    );
    let with_records = TrainRequest {
        records: Some(xy(vec![1.0, 2.0])),
        ..request
    };
    assert_eq!(refusal(client.train(with_records).await).field, "records");
    server.stop().await;
}

#[tokio::test]
async fn labels_are_only_compared_with_the_scores() {
    let (server, mut client, _folder) = server().await;
    let mut values = normal_rows(400, 1);
    values.extend([20.0, 25.0, -20.0, -15.0, 22.0, -12.0, -25.0, 30.0]);
    let plain = xy(values.clone());
    let labelled: Vec<f64> = values
        .chunks(2)
        .enumerate()
        .flat_map(|(i, row)| [row[0], f64::from(u8::from(i >= 400)), row[1]])
        .collect();
    let labelled = matrix(&["x", "bad", "y"], labelled);

    let unlabelled = client
        .train(train_request("plain", plain.clone()))
        .await
        .expect("trains");
    let request = train_as(
        "labelled",
        labelled.clone(),
        TrainingSpec {
            label_column: "bad".to_owned(),
            policy: Some(Policy::Contamination(0.1)),
            ..TrainingSpec::default()
        },
    );
    let trained = harness::trained(&mut client, request).await;
    assert_eq!(
        (
            trained.feature_names.as_slice(),
            spec(&trained).label_column.as_str()
        ),
        (&["x".to_owned(), "y".to_owned()][..], "bad")
    );
    assert_eq!(
        trained.threshold,
        harness::model(unlabelled.into_inner().model).threshold
    );
    let metrics = trained
        .statistics
        .and_then(|s| s.label_metrics)
        .expect("has metrics");
    assert_eq!(
        (metrics.true_positives, metrics.false_negatives),
        (Some(4), Some(0))
    );
    assert!(
        metrics.auroc > Some(0.999) && metrics.recall == Some(1.0),
        "{metrics:?}"
    );
    let precision = 4.0 / (4.0 + metrics.false_positives.expect("counted") as f64);
    assert_eq!(metrics.precision, Some(precision));

    let expected = scores(&mut client, "plain", plain).await;
    assert_eq!(
        scores(&mut client, "labelled", labelled).await,
        expected,
        "the label column is always allowed"
    );
    server.stop().await;
}

#[tokio::test]
async fn the_extended_forest_and_all_parameters_are_echoed_with_defaults_filled_in() {
    let (server, mut client, _folder) = server().await;
    let request = train_as(
        "echo",
        xy(normal_rows(200, 1)),
        by(Detector::IsolationForest(IsolationForest {
            n_estimators: Some(20),
            max_samples: Some(0.5),
            ndim: Some(2),
            random_state: Some(7),
            max_features: None,
        })),
    );
    let trained = harness::trained(&mut client, request).await;
    let Some(Detector::IsolationForest(forest)) = spec(&trained).detector else {
        panic!("a forest")
    };
    assert_eq!(
        forest,
        IsolationForest {
            n_estimators: Some(20),
            max_samples: Some(0.5),
            max_features: Some(1.0),
            random_state: Some(7),
            ndim: Some(2),
        }
    );
    server.stop().await;
}
