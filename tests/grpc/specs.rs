//! The spec that a model shows trains another one like it.

use anomalyd::proto::v1::one_class_svm::GammaChoice;
use anomalyd::proto::v1::training_spec::{Detector, Policy};
use anomalyd::proto::v1::{
    Auto, Baseline, ClassWeight, Ecod, FeatureEngineering, FeaturePolicy, Gaussian, Hbos,
    Imputation, IsolationForest, Knn, KnnMethod, Lesinn, LesinnMetric, LocalOutlierFactor,
    LogisticRegression, Model, OneClassSvm, Pca, RandomForest, Records, Scaler, SvmGammaRule,
    SvmKernel, TrainRequest, TrainingSpec, ZScore,
};
use serde_json::{Value, json};

use crate::grpc::harness::{
    Client, all_scores, by, normal_rows, predict, rows, server, spec, train_as, trained, update,
};

/// Each detector with every parameter set to another value than its default.
fn with_every_parameter() -> Vec<Detector> {
    let weight = |anomaly| {
        Some(ClassWeight {
            balanced: false,
            normal: Some(1.0),
            anomaly: Some(anomaly),
        })
    };
    let svm = |kernel: SvmKernel, gamma_choice| {
        Detector::OneClassSvm(OneClassSvm {
            nu: Some(0.3),
            kernel: kernel.into(),
            gamma_choice: Some(gamma_choice),
            degree: Some(2),
            coef0: Some(0.5),
            tol: Some(1e-4),
        })
    };
    let hbos = |n_bins, auto_bins| {
        Detector::Hbos(Hbos {
            n_bins,
            auto_bins,
            alpha: Some(0.2),
            tol: Some(0.3),
        })
    };
    vec![
        Detector::Auto(Auto {
            random_state: Some(3),
        }),
        Detector::Ecod(Ecod {}),
        Detector::Gaussian(Gaussian { ridge: Some(1e-3) }),
        hbos(Some(7), false),
        hbos(None, true),
        Detector::IsolationForest(IsolationForest {
            n_estimators: Some(20),
            max_samples: Some(0.5),
            max_features: Some(0.5),
            random_state: Some(7),
            ndim: Some(1),
        }),
        Detector::IsolationForest(IsolationForest {
            n_estimators: Some(20),
            max_samples: Some(64.0),
            random_state: Some(7),
            ndim: Some(2),
            ..IsolationForest::default()
        }),
        Detector::Knn(Knn {
            n_neighbors: Some(3),
            method: KnnMethod::Median.into(),
        }),
        Detector::Lesinn(Lesinn {
            n_estimators: Some(10),
            max_samples: Some(16),
            n_neighbors: Some(2),
            metric: LesinnMetric::Euclidean.into(),
            random_state: Some(5),
        }),
        Detector::LocalOutlierFactor(LocalOutlierFactor {
            n_neighbors: Some(7),
        }),
        Detector::LogisticRegression(LogisticRegression {
            c: Some(0.5),
            class_weight: weight(3.0),
            tol: Some(1e-5),
            max_iter: Some(50),
        }),
        svm(SvmKernel::Poly, GammaChoice::Gamma(0.25)),
        svm(
            SvmKernel::Rbf,
            GammaChoice::GammaRule(SvmGammaRule::Auto.into()),
        ),
        Detector::Pca(Pca {
            n_components: Some(2),
        }),
        Detector::RandomForest(RandomForest {
            n_estimators: Some(20),
            max_depth: Some(5),
            min_samples_leaf: Some(2),
            max_features: Some(0.5),
            class_weight: weight(2.0),
            random_state: Some(9),
        }),
        Detector::ZScore(ZScore {
            multiplier: Some(2.5),
            baselines: Vec::new(),
        }),
    ]
}

/// Readings with a time, a series, two features of numbers, one of texts, a label and a useless column.
fn readings(n: usize, seed: u64) -> Records {
    let noise = normal_rows(n, seed);
    let row = |i: usize| {
        let far = if i % 20 == 7 { 8.0 } else { 0.0 };
        let shop = ["bakery", "kiosk", "tailor", "bank"][i % 4];
        json!({
            "when": format!("2024-03-{:02}T{:02}:{:02}:00Z", 1 + i / 1440, i / 60 % 24, i % 60),
            "sensor": format!("s{}", i % 2),
            "value": noise[2 * i] + far,
            "other": if i % 13 == 5 { Value::Null } else { json!(noise[2 * i + 1]) },
            "shop": shop,
            "bad": i % 20 == 7,
            "noise": (i * i) % 17,
        })
    };
    rows(Value::Array((0..n).map(row).collect()))
}

/// A spec with everything set that the detector accepts.
fn with_everything(detector: Detector) -> TrainingSpec {
    let supervised = matches!(
        detector,
        Detector::RandomForest(_) | Detector::LogisticRegression(_)
    );
    let scaler = match detector {
        Detector::Auto(_) | Detector::Lesinn(_) => Scaler::None,
        _ => Scaler::Robust,
    };
    let policy = match detector {
        Detector::ZScore(_) => None,
        Detector::RandomForest(_) => Some(Policy::Threshold(0.6)),
        _ => Some(Policy::Contamination(0.07)),
    };
    TrainingSpec {
        policy,
        scaler: scaler.into(),
        label_column: "bad".to_owned(),
        target_column: "value".to_owned(),
        feature_columns: ["shop", "value", "other"].map(str::to_owned).to_vec(),
        time_column: "when".to_owned(),
        series_column: "sensor".to_owned(),
        ignore_columns: vec!["noise".to_owned()],
        feature_engineering: Some(FeatureEngineering {
            columns: ["other", "value"].map(str::to_owned).to_vec(),
            lags: vec![1, 2],
            rolling_windows: vec![5],
            rolling_mean: Some(true),
            rolling_std: Some(false),
            rolling_z_score: Some(true),
            difference: Some(false),
            hour: Some(true),
            day_of_week: Some(false),
            month: Some(true),
        }),
        feature_policy: FeaturePolicy::Flexible.into(),
        imputation: Imputation::Zero.into(),
        max_one_hot_categories: Some(3),
        validation_fraction: supervised.then_some(0.3),
        sample_rows: None,
        ..by(detector)
    }
}

/// The parts of a model that must be equal in another one with the same spec.
fn essence(model: Model) -> Model {
    Model {
        run_id: String::new(),
        version: 0,
        create_time: None,
        // the requested spec is stored, too, and may have been less
        size_bytes: 0,
        ..model
    }
}

/// Trains, trains again with the spec that the model shows, and compares the two models.
async fn hold(client: &mut Client, what: &str, request: TrainRequest, probe: &Records) -> Model {
    let first = trained(client, request.clone()).await;
    let again = TrainRequest {
        run_id: "again".to_owned(),
        spec: Some(spec(&first)),
        ..request
    };
    let again = trained(client, again).await;
    assert_eq!(essence(again), essence(first.clone()), "{what}");
    let expected = all_scores(client, &first.run_id, probe.clone()).await;
    let found = all_scores(client, "again", probe.clone()).await;
    assert!(found == expected, "{what}: {found:?} is not {expected:?}");
    first
}

#[tokio::test]
async fn every_option_of_every_detector_can_be_sent_back() {
    let (server, mut client, _folder) = server().await;
    let (training, probe) = (readings(400, 1), readings(40, 2));
    for detector in with_every_parameter() {
        let what = format!("{detector:?}");
        let asked = with_everything(detector);
        let request = train_as("first", training.clone(), asked.clone());
        let shown = spec(&hold(&mut client, &what, request, &probe).await);
        // every requested option is shown as it was requested
        let asked = TrainingSpec {
            feature_columns: shown.feature_columns.clone(),
            ..asked
        };
        assert_eq!(shown, with_defaults(asked), "{what}");
        assert_eq!(shown.feature_columns, ["other", "shop", "value"]);

        let sampled = TrainingSpec {
            feature_engineering: None,
            sample_rows: Some(150),
            ..shown
        };
        let request = train_as("sampled", training.clone(), sampled);
        hold(&mut client, &what, request, &probe).await;
    }
    server.stop().await;
}

/// Fills in the defaults of an extended forest.
fn with_defaults(mut spec: TrainingSpec) -> TrainingSpec {
    if let Some(Detector::IsolationForest(forest)) = &mut spec.detector {
        forest.max_features.get_or_insert(1.0);
    }
    spec
}

#[tokio::test]
async fn detected_defaults_can_be_sent_back() {
    let (server, mut client, _folder) = server().await;
    let supervised = [
        Detector::RandomForest(RandomForest::default()),
        Detector::LogisticRegression(LogisticRegression::default()),
    ];
    let (training, probe) = (readings(300, 1), readings(40, 2));
    for detector in supervised {
        let labelled = TrainingSpec {
            label_column: "bad".to_owned(),
            ..by(detector.clone())
        };
        let request = train_as("first", training.clone(), labelled);
        let shown = spec(&hold(&mut client, &format!("{detector:?}"), request, &probe).await);
        assert_eq!(shown.policy, Some(Policy::Threshold(0.5)));
        assert_eq!(shown.validation_fraction, Some(0.2));
    }
    let detectors = crate::grpc::detectors::all().into_iter();
    for spec_of in detectors
        .map(|(_, detector)| by(detector))
        .chain([TrainingSpec::default()])
    {
        let what = format!("{:?}", spec_of.detector);
        let request = train_as("first", training.clone(), spec_of.clone());
        let shown = spec(&hold(&mut client, &what, request, &probe).await);
        assert_eq!(shown.time_column, "when", "it was found");
        assert!(shown.detector.is_some() && shown.scaler() != Scaler::Unspecified);
        assert_eq!(shown.feature_policy(), FeaturePolicy::Strict);
        assert_eq!(shown.imputation(), Imputation::Median);
        assert_eq!(shown.max_one_hot_categories, Some(16));
        assert_eq!(shown.feature_columns.len(), 6);

        // columns without names
        let values = normal_rows(200, 3);
        let arrays = values.chunks(2).map(|row| json!([row[0], row[1]]));
        let request = train_as("unnamed", rows(arrays.collect()), spec_of);
        let probe = rows(json!([[0.0, 5.0], [40.0, -50.0]]));
        let shown = spec(&hold(&mut client, &what, request, &probe).await);
        assert_eq!(shown.feature_columns, ["f0", "f1"], "{what}");
    }
    server.stop().await;
}

#[tokio::test]
async fn every_way_to_set_the_threshold_of_z_score_can_be_sent_back() {
    let (server, mut client, _folder) = server().await;
    let z_score = |multiplier, baselines| {
        by(Detector::ZScore(ZScore {
            multiplier,
            baselines,
        }))
    };
    let under = |policy| TrainingSpec {
        policy: Some(policy),
        ..z_score(None, Vec::new())
    };
    let probe = rows(json!([{"x": 0.5, "y": 4}, {"x": 7, "y": 9}]));
    let training = || crate::grpc::harness::xy(normal_rows(300, 1));
    for (asked, threshold) in [
        (z_score(None, Vec::new()), Some(3.0)),
        (z_score(Some(2.0), Vec::new()), Some(2.0)),
        (under(Policy::Threshold(4.0)), Some(4.0)),
        (under(Policy::Contamination(0.05)), None),
    ] {
        let what = format!("{asked:?}");
        let request = train_as("learned", training(), asked);
        let model = hold(&mut client, &what, request, &probe).await;
        assert!(
            threshold.is_none_or(|_| model.threshold == threshold),
            "{what}"
        );
        let shown = spec(&model);
        let Some(Detector::ZScore(shown_detector)) = shown.detector else {
            panic!("{what}")
        };
        assert_eq!(shown_detector.multiplier, threshold, "{what}");
        let share = threshold.is_none().then_some(Policy::Contamination(0.05));
        assert_eq!(shown.policy, share, "{what}");
    }

    let baseline = |feature: &str, mean, std| Baseline {
        feature: feature.to_owned(),
        mean: Some(mean),
        std: Some(std),
    };
    let given = || vec![baseline("y", 5.0, 2.0), baseline("x", 0.0, 0.5)];
    for asked in [
        z_score(None, given()),
        z_score(Some(2.5), given()),
        TrainingSpec {
            policy: Some(Policy::Threshold(4.0)),
            ..z_score(None, given())
        },
        TrainingSpec {
            feature_policy: FeaturePolicy::Flexible.into(),
            imputation: Imputation::Zero.into(),
            ..z_score(None, given())
        },
    ] {
        let what = format!("{asked:?}");
        let request = TrainRequest {
            run_id: "given".to_owned(),
            spec: Some(asked),
            ..TrainRequest::default()
        };
        let model = hold(&mut client, &what, request, &probe).await;
        assert_eq!(model.feature_names, ["y", "x"], "{what}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_model_with_adopted_features_can_be_trained_again_from_its_spec() {
    let (server, mut client, _folder) = server().await;
    let row = |i: usize, noise: &[f64], with_z: bool| {
        let when = format!("2024-03-{:02}T{:02}:00:00Z", 1 + i / 24, i % 24);
        match with_z {
            true => json!({"when": when, "value": noise[0], "z": noise[1]}),
            false => json!({"when": when, "value": noise[0]}),
        }
    };
    let table = |from: usize, n: usize, with_z| {
        let noise = normal_rows(n, 4);
        let rows_of = noise.chunks(2).enumerate();
        rows(
            rows_of
                .map(|(i, noise)| row(from + i, noise, with_z))
                .collect(),
        )
    };
    // the others are engineered from the only feature
    let adaptive = TrainingSpec {
        feature_policy: FeaturePolicy::Adaptive.into(),
        feature_engineering: Some(FeatureEngineering::default()),
        ..TrainingSpec::default()
    };
    trained(&mut client, train_as("run", table(0, 200, false), adaptive)).await;
    let updated = update(&mut client, "run", table(200, 100, true)).await;
    let updated = updated.expect("updates");
    assert_eq!(updated.feature_names, ["value", "z"]);
    let shown = spec(&updated);
    let engineering = shown.feature_engineering.clone().expect("shown");
    assert_eq!(engineering.columns, ["value"]);
    let alike = trained(
        &mut client,
        train_as("alike", table(0, 300, true), shown.clone()),
    )
    .await;
    assert_eq!(spec(&alike), shown);
    assert_eq!(alike.feature_names, updated.feature_names);
    let one = predict(&mut client, "alike", table(300, 1, true)).await;
    assert_eq!(one.expect("predicts").rows.len(), 1);
    server.stop().await;
}
