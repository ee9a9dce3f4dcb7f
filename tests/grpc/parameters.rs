//! Parameters and other fields of a training that are out of range are refused with the path of their field.

use anomalyd::proto::v1::one_class_svm::GammaChoice;
use anomalyd::proto::v1::training_spec::{Detector, Policy};
use anomalyd::proto::v1::{
    Baseline, Gaussian, Hbos, IsolationForest, Knn, Lesinn, LocalOutlierFactor, LogisticRegression,
    OneClassSvm, Pca, RandomForest, TrainRequest, TrainingSpec, ZScore,
};
use tonic::Code;

use crate::grpc::harness::{by, normal_rows, refusal, server, train_as, train_request, xy};
use crate::grpc::hostile::nothing_is_stored;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

fn svm(change: fn(&mut OneClassSvm)) -> Detector {
    let mut svm = OneClassSvm::default();
    change(&mut svm);
    Detector::OneClassSvm(svm)
}

fn lesinn(change: fn(&mut Lesinn)) -> Detector {
    let mut lesinn = Lesinn::default();
    change(&mut lesinn);
    Detector::Lesinn(lesinn)
}

fn hbos(change: fn(&mut Hbos)) -> Detector {
    let mut hbos = Hbos::default();
    change(&mut hbos);
    Detector::Hbos(hbos)
}

fn forest(change: fn(&mut RandomForest)) -> Detector {
    let mut forest = RandomForest::default();
    change(&mut forest);
    Detector::RandomForest(forest)
}

fn logistic(change: fn(&mut LogisticRegression)) -> Detector {
    let mut logistic = LogisticRegression::default();
    change(&mut logistic);
    Detector::LogisticRegression(logistic)
}

fn knn(n_neighbors: Option<u32>, method: i32) -> Detector {
    Detector::Knn(Knn {
        n_neighbors,
        method,
    })
}

fn lof(n_neighbors: u32) -> Detector {
    Detector::LocalOutlierFactor(LocalOutlierFactor {
        n_neighbors: Some(n_neighbors),
    })
}

fn pca(n_components: u32) -> Detector {
    Detector::Pca(Pca {
        n_components: Some(n_components),
    })
}

fn cases() -> Vec<(Detector, &'static str)> {
    vec![
        (svm(|s| s.nu = Some(0.0)), "one_class_svm.nu"),
        (svm(|s| s.nu = Some(1.1)), "one_class_svm.nu"),
        (svm(|s| s.nu = Some(f64::NAN)), "one_class_svm.nu"),
        (svm(|s| s.kernel = 9), "one_class_svm.kernel"),
        (
            svm(|s| s.gamma_choice = Some(GammaChoice::Gamma(0.0))),
            "one_class_svm.gamma",
        ),
        (
            svm(|s| s.gamma_choice = Some(GammaChoice::GammaRule(7))),
            "one_class_svm.gamma_rule",
        ),
        (svm(|s| s.degree = Some(101)), "one_class_svm.degree"),
        (svm(|s| s.tol = Some(0.0)), "one_class_svm.tol"),
        (knn(Some(0), 0), "knn.n_neighbors"),
        (knn(Some(10_001), 0), "knn.n_neighbors"),
        (knn(None, 4), "knn.method"),
        (lof(0), "local_outlier_factor.n_neighbors"),
        (lof(10_001), "local_outlier_factor.n_neighbors"),
        (pca(0), "pca.n_components"),
        (pca(3), "pca.n_components"),
        (hbos(|h| h.n_bins = Some(1)), "hbos.n_bins"),
        (hbos(|h| h.n_bins = Some(4097)), "hbos.n_bins"),
        (hbos(|h| h.alpha = Some(0.0)), "hbos.alpha"),
        (hbos(|h| h.tol = Some(-0.1)), "hbos.tol"),
        (
            hbos(|h| {
                h.n_bins = Some(10);
                h.auto_bins = true;
            }),
            "hbos.auto_bins",
        ),
        (lesinn(|l| l.n_estimators = Some(0)), "lesinn.n_estimators"),
        (lesinn(|l| l.max_samples = Some(1)), "lesinn.max_samples"),
        (lesinn(|l| l.n_neighbors = Some(32)), "lesinn.n_neighbors"),
        (
            // each is in its range, but together they are too much work
            lesinn(|l| {
                l.max_samples = Some(60_000);
                l.n_neighbors = Some(59_999);
            }),
            "lesinn.n_neighbors",
        ),
        (lesinn(|l| l.metric = 3), "lesinn.metric"),
        (
            forest(|f| f.n_estimators = Some(0)),
            "random_forest.n_estimators",
        ),
        (forest(|f| f.max_depth = Some(0)), "random_forest.max_depth"),
        (
            forest(|f| f.min_samples_leaf = Some(0)),
            "random_forest.min_samples_leaf",
        ),
        (
            forest(|f| f.max_features = Some(1.5)),
            "random_forest.max_features",
        ),
        (logistic(|l| l.c = Some(0.0)), "logistic_regression.c"),
        (logistic(|l| l.tol = Some(1.1)), "logistic_regression.tol"),
        (
            logistic(|l| l.max_iter = Some(0)),
            "logistic_regression.max_iter",
        ),
    ]
}

#[tokio::test]
async fn each_is_refused_and_named() {
    let (server, mut client, _folder) = server().await;
    for (detector, field) in cases() {
        let request = train_as("refused", xy(normal_rows(50, 1)), by(detector));
        let refused = refusal(client.train(request).await);
        assert_eq!(
            (refused.reason.as_str(), refused.field.clone()),
            ("INVALID_PARAMETER", format!("spec.{field}")),
            "{refused:?}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn parameters_out_of_range_are_refused_and_named() {
    let (server, mut client, folder) = server().await;
    let forest = |change: fn(&mut IsolationForest)| {
        let mut forest = IsolationForest::default();
        change(&mut forest);
        Detector::IsolationForest(forest)
    };
    let baseline = |feature: &str, mean, std| Baseline {
        feature: feature.to_owned(),
        mean,
        std,
    };
    let baselines = |baselines| {
        Detector::ZScore(ZScore {
            multiplier: None,
            baselines,
        })
    };
    let cases: Vec<(Detector, &str)> = vec![
        (
            forest(|f| f.n_estimators = Some(0)),
            "isolation_forest.n_estimators",
        ),
        (
            forest(|f| f.n_estimators = Some(10_001)),
            "isolation_forest.n_estimators",
        ),
        (
            forest(|f| f.max_samples = Some(0.0)),
            "isolation_forest.max_samples",
        ),
        (
            forest(|f| f.max_samples = Some(1.5)),
            "isolation_forest.max_samples",
        ),
        (
            forest(|f| f.max_samples = Some(NAN)),
            "isolation_forest.max_samples",
        ),
        (
            forest(|f| f.max_features = Some(3.0)),
            "isolation_forest.max_features",
        ),
        (
            forest(|f| f.max_features = Some(-1.0)),
            "isolation_forest.max_features",
        ),
        (forest(|f| f.ndim = Some(0)), "isolation_forest.ndim"),
        (forest(|f| f.ndim = Some(3)), "isolation_forest.ndim"),
        (
            Detector::Gaussian(Gaussian { ridge: Some(-0.1) }),
            "gaussian.ridge",
        ),
        (
            Detector::Gaussian(Gaussian { ridge: Some(NAN) }),
            "gaussian.ridge",
        ),
        (
            Detector::ZScore(ZScore {
                multiplier: Some(0.0),
                baselines: vec![],
            }),
            "z_score.multiplier",
        ),
        (
            Detector::ZScore(ZScore {
                multiplier: Some(INF),
                baselines: vec![],
            }),
            "z_score.multiplier",
        ),
        (
            baselines(vec![baseline("x", None, Some(1.0))]),
            "z_score.baselines[0].mean",
        ),
        (
            baselines(vec![baseline("x", Some(0.0), Some(0.0))]),
            "z_score.baselines[0].std",
        ),
        (
            baselines(vec![baseline("", Some(0.0), Some(1.0))]),
            "z_score.baselines[0].feature",
        ),
        (
            baselines(vec![
                baseline("x", Some(0.0), Some(1.0)),
                baseline("x", Some(0.0), Some(1.0)),
            ]),
            "z_score.baselines[1].feature",
        ),
    ];
    for (detector, field) in cases {
        let request = train_as("bad", xy(normal_rows(20, 1)), by(detector));
        let refused = refusal(client.train(request).await);
        assert_eq!(
            (refused.code, refused.field.clone()),
            (Code::InvalidArgument, format!("spec.{field}")),
            "{refused:?}"
        );
    }
    for contamination in [0.0, -0.1, 0.51, 1.0, NAN, INF] {
        let request = train_as(
            "bad",
            xy(normal_rows(20, 1)),
            TrainingSpec {
                policy: Some(Policy::Contamination(contamination)),
                ..TrainingSpec::default()
            },
        );
        let refused = refusal(client.train(request).await);
        assert_eq!(refused.field, "spec.contamination");
    }
    let spec = |change: fn(&mut TrainingSpec)| {
        let mut spec = TrainingSpec::default();
        change(&mut spec);
        spec
    };
    for (spec, field) in [
        (
            spec(|s| s.policy = Some(Policy::Threshold(NAN))),
            "spec.threshold",
        ),
        (spec(|s| s.scaler = 9), "spec.scaler"),
        (
            spec(|s| s.label_column = "z".to_owned()),
            "spec.label_column",
        ),
        (spec(|s| s.feature_policy = 9), "spec.feature_policy"),
        (spec(|s| s.imputation = 9), "spec.imputation"),
    ] {
        let request = train_as("bad", xy(normal_rows(20, 1)), spec);
        let refused = refusal(client.train(request).await);
        assert_eq!(
            (refused.code, refused.field.as_str()),
            (Code::InvalidArgument, field),
            "{refused:?}"
        );
    }
    for (change, field) in [
        (
            (|r| r.run_id = String::new()) as fn(&mut TrainRequest),
            "run_id",
        ),
        (|r| r.run_id = "x".repeat(129), "run_id"),
        (|r| r.run_id = "a\nb".to_owned(), "run_id"),
        (|r| r.request_id = "x".repeat(129), "request_id"),
    ] {
        let mut request = train_request("bad", xy(normal_rows(20, 1)));
        change(&mut request);
        let refused = refusal(client.train(request).await);
        assert_eq!(
            (refused.code, refused.field.as_str()),
            (Code::InvalidArgument, field),
            "{refused:?}"
        );
    }
    nothing_is_stored(&mut client, folder.path()).await;
    server.stop().await;
}
