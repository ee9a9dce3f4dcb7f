//! Detectors that learn from labels.

use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::training_spec::Detector;
use anomalyd::proto::v1::{
    ClassWeight, IsolationForest, LogisticRegression, Matrix, RandomForest, Records, TrainRequest,
    TrainingSpec,
};
use tonic::Code;

use crate::grpc::harness::{
    by, get_model, in_form, matrix, normal_rows, predict, refusal, scores, server, spec, train_as,
    trained, update, xy,
};

pub(crate) fn all() -> [(&'static str, Detector); 2] {
    [
        (
            "random_forest",
            Detector::RandomForest(RandomForest::default()),
        ),
        (
            "logistic_regression",
            Detector::LogisticRegression(LogisticRegression::default()),
        ),
    ]
}

/// Points with a label that says whether x is greater than 1, NaN if it is not known.
fn labelled(n: usize, seed: u64) -> (Vec<f64>, Vec<f64>) {
    let values = normal_rows(n, seed);
    let label = |(row, point): (usize, &[f64])| match row % 50 {
        0 => f64::NAN,
        _ => f64::from(u8::from(point[0] > 1.0)),
    };
    let labels = values.chunks(2).enumerate().map(label).collect();
    (values, labels)
}

fn in_a_column((values, labels): (Vec<f64>, Vec<f64>)) -> Records {
    let rows = values.chunks(2).zip(&labels);
    let values = rows.flat_map(|(point, &label)| [point[0], label, point[1]]);
    matrix(&["x", "bad", "y"], values.collect())
}

fn beside((values, labels): (Vec<f64>, Vec<f64>)) -> Records {
    let matrix = Matrix {
        feature_names: vec!["x".to_owned(), "y".to_owned()],
        values,
        labels,
        ..Matrix::default()
    };
    in_form(Form::Matrix(matrix))
}

#[tokio::test]
async fn labels_in_a_column_and_beside_a_matrix_give_the_same_model() {
    let (server, mut client, _folder) = server().await;
    for (name, detector) in all() {
        let column = train_as(
            name,
            in_a_column(labelled(1000, 1)),
            TrainingSpec {
                label_column: "bad".to_owned(),
                ..by(detector.clone())
            },
        );
        let model = trained(&mut client, column).await;
        assert_eq!(
            (
                model.n_rows,
                model.threshold,
                spec(&model).validation_fraction
            ),
            (980, Some(0.5), Some(0.2)),
            "{name}: rows without a label are left out"
        );
        let statistics = model.statistics.expect("has statistics");
        let metrics = statistics.label_metrics.expect("was measured");
        let counts = [
            metrics.true_positives,
            metrics.false_positives,
            metrics.true_negatives,
            metrics.false_negatives,
        ];
        let measured: u64 = counts
            .into_iter()
            .map(|count| count.expect("counted"))
            .sum();
        assert_eq!(measured, 196, "{name}: a fifth of the rows");
        assert!(metrics.auroc > Some(0.98), "{name}: {metrics:?}");
        let importances: Vec<_> = statistics.features.iter().map(|f| f.importance).collect();
        if name == "random_forest" {
            assert!(importances[0] > Some(0.8), "{importances:?}");
            let sum: f64 = importances.iter().flatten().sum();
            assert!((sum - 1.0).abs() < 1e-9);
        } else {
            assert_eq!(importances, [None, None]);
        }

        let other = format!("{name} beside");
        let request = train_as(&other, beside(labelled(1000, 1)), by(detector));
        let model = trained(&mut client, request).await;
        assert_eq!(spec(&model).label_column, "");
        let probe = || xy(normal_rows(50, 9));
        let found = scores(&mut client, name, probe()).await;
        assert_eq!(scores(&mut client, &other, probe()).await, found, "{name}");
        assert!(found.iter().all(|score| (0.0..=1.0).contains(score)));
        let far = predict(&mut client, name, xy(vec![3.0, 0.0]))
            .await
            .expect("predicts");
        assert_eq!(far.rows[0].is_anomaly, Some(true));
    }
    server.stop().await;
}

#[tokio::test]
async fn they_are_updated_with_labelled_rows() {
    let (server, mut client, _folder) = server().await;
    for (name, detector) in all() {
        let request = train_as(
            name,
            in_a_column(labelled(500, 1)),
            TrainingSpec {
                label_column: "bad".to_owned(),
                ..by(detector)
            },
        );
        trained(&mut client, request).await;
        let updated = update(&mut client, name, in_a_column(labelled(500, 2)))
            .await
            .expect("updates");
        assert_eq!(
            (updated.version, updated.n_rows, updated.threshold),
            (2, 980, Some(0.5))
        );
        let metrics = updated
            .statistics
            .and_then(|s| s.label_metrics)
            .expect("was measured");
        assert!(metrics.auroc > Some(0.95), "{name}: {metrics:?}");
        let beside = update(&mut client, name, beside(labelled(100, 3)))
            .await
            .expect("updates");
        assert_eq!(
            beside.n_rows, 1078,
            "{name}: labels may stand beside the rows, too"
        );

        let unlabelled = refusal(update(&mut client, name, xy(normal_rows(100, 4))).await);
        assert_eq!(
            (unlabelled.code, unlabelled.reason.as_str()),
            (Code::InvalidArgument, "UNUSABLE_ROWS")
        );
        assert_eq!(
            get_model(&mut client, name).await.expect("is kept").version,
            3
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn unusable_labels_are_refused() {
    let (server, mut client, _folder) = server().await;
    for (name, detector) in all() {
        let request = |records| train_as(name, records, by(detector.clone()));
        let none = refusal(client.train(request(xy(normal_rows(100, 1)))).await);
        assert_eq!(
            (none.reason.as_str(), none.field.as_str()),
            ("UNUSABLE_ROWS", "records")
        );
        let (values, labels) = labelled(100, 1);
        let single = vec![0.0; labels.len()];
        let refused = refusal(
            client
                .train(request(beside((values.clone(), single))))
                .await,
        );
        assert_eq!(refused.reason, "UNUSABLE_ROWS", "{name}: a single class");
        let unknown = vec![f64::NAN; labels.len()];
        let refused = refusal(
            client
                .train(request(beside((values.clone(), unknown))))
                .await,
        );
        assert_eq!(refused.reason, "UNUSABLE_ROWS", "{name}: no known label");
        let short = refusal(
            client
                .train(request(beside((values.clone(), labels[1..].to_vec()))))
                .await,
        );
        assert_eq!(short.field, "records.matrix.labels");
        let twos = vec![2.0; labels.len()];
        let refused = refusal(client.train(request(beside((values, twos)))).await);
        assert_eq!(
            refused.reason, "INVALID_RECORDS",
            "{name}: a label is 0 or 1"
        );
        let twice = TrainingSpec {
            label_column: "x".to_owned(),
            ..by(detector.clone())
        };
        let twice = train_as(name, beside(labelled(100, 1)), twice);
        assert_eq!(refusal(client.train(twice).await).reason, "INVALID_RECORDS");
        for fraction in [-0.1, 0.6, f64::NAN] {
            let fraction = TrainingSpec {
                validation_fraction: Some(fraction),
                ..by(detector.clone())
            };
            let fraction = train_as(name, beside(labelled(100, 1)), fraction);
            assert_eq!(
                refusal(client.train(fraction).await).field,
                "spec.validation_fraction"
            );
        }
    }
    let unsupervised = train_as(
        "forest",
        beside(labelled(100, 1)),
        TrainingSpec {
            validation_fraction: Some(0.2),
            ..by(Detector::IsolationForest(IsolationForest::default()))
        },
    );
    assert_eq!(
        refusal(client.train(unsupervised).await).field,
        "spec.validation_fraction"
    );
    server.stop().await;
}

#[tokio::test]
async fn nothing_is_measured_where_nothing_is_held_out() {
    let (server, mut client, _folder) = server().await;
    let request = train_as(
        "all",
        beside(labelled(200, 1)),
        TrainingSpec {
            validation_fraction: Some(0.0),
            ..by(Detector::LogisticRegression(LogisticRegression::default()))
        },
    );
    let model = trained(&mut client, request.clone()).await;
    assert_eq!(
        model.statistics.expect("has statistics").label_metrics,
        None
    );
    let (values, mut labels) = labelled(200, 1);
    labels.fill(0.0);
    labels[3] = 1.0;
    let logistic = Detector::LogisticRegression(LogisticRegression::default());
    let rare = train_as("all", beside((values, labels)), by(logistic));
    let model = trained(&mut client, rare).await;
    assert_eq!(
        model.statistics.expect("has statistics").label_metrics,
        None,
        "one anomaly is not shared"
    );
    server.stop().await;
}

#[tokio::test]
async fn class_weights_and_all_parameters_are_echoed_with_defaults_filled_in() {
    let (server, mut client, _folder) = server().await;
    let weight = ClassWeight {
        anomaly: Some(10.0),
        ..ClassWeight::default()
    };
    let request = train_as(
        "echo",
        beside(labelled(200, 1)),
        by(Detector::RandomForest(RandomForest {
            n_estimators: Some(20),
            class_weight: Some(weight),
            ..RandomForest::default()
        })),
    );
    let Some(Detector::RandomForest(forest)) =
        spec(&trained(&mut client, request.clone()).await).detector
    else {
        panic!("a forest")
    };
    let expected = RandomForest {
        n_estimators: Some(20),
        max_depth: None,
        min_samples_leaf: Some(1),
        max_features: None,
        class_weight: Some(ClassWeight {
            balanced: false,
            normal: Some(1.0),
            anomaly: Some(10.0),
        }),
        random_state: Some(0),
    };
    assert_eq!(forest, expected);
    for (field, bad) in [
        (
            "spec.random_forest.class_weight.balanced",
            ClassWeight {
                balanced: true,
                ..weight
            },
        ),
        (
            "spec.random_forest.class_weight.anomaly",
            ClassWeight {
                anomaly: Some(-1.0),
                ..ClassWeight::default()
            },
        ),
    ] {
        let refused = TrainRequest {
            spec: Some(by(Detector::RandomForest(RandomForest {
                class_weight: Some(bad),
                ..RandomForest::default()
            }))),
            ..request.clone()
        };
        assert_eq!(refusal(client.train(refused).await).field, field);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_rare_class_survives_an_update_without_it() {
    let (server, mut client, _folder) = server().await;
    for (name, detector) in all() {
        let mut values = normal_rows(30_000, 1);
        let mut labels = vec![0.0; 30_000];
        for row in [100, 20_000, 29_000] {
            labels[row] = 1.0;
            values[2 * row] = 9.0;
        }
        let request = train_as(name, beside((values, labels)), by(detector));
        trained(&mut client, request).await;
        let normal = beside((normal_rows(50, 2), vec![0.0; 50]));
        let updated = update(&mut client, name, normal).await.expect("updates");
        assert_eq!(updated.n_rows, 30_050, "{name}");
        let found = scores(&mut client, name, xy(vec![9.0, 0.0, 0.0, 0.0])).await;
        assert!(found[0] > found[1] + 0.3, "{name}: {found:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn rows_are_not_refused_because_the_held_out_part_could_not_be_learned_from() {
    let (server, mut client, _folder) = server().await;
    for (name, detector) in all() {
        for position in 0..20 {
            // a column with a single value, which may be among the held-out rows
            let values = normal_rows(60, 1);
            let columns = values.chunks(2).enumerate();
            let values = columns.flat_map(|(row, point)| {
                let rare = if row == position { 1.0 } else { f64::NAN };
                [point[0], rare, f64::from(u8::from(row % 5 == 0))]
            });
            let request = train_as(
                name,
                matrix(&["x", "rare", "bad"], values.collect()),
                TrainingSpec {
                    label_column: "bad".to_owned(),
                    ..by(detector.clone())
                },
            );
            trained(&mut client, request).await;
        }
    }
    server.stop().await;
}
