//! Parameters of detectors that are out of range, each refused with the path of its field.

use anomalyd::proto::v1::one_class_svm::GammaChoice;
use anomalyd::proto::v1::train_request::Detector;
use anomalyd::proto::v1::{
    Hbos, Knn, Lesinn, LocalOutlierFactor, LogisticRegression, OneClassSvm, Pca, RandomForest,
    TrainRequest,
};

use crate::harness::{normal_rows, refusal, server, train_request, xy};

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
            // each is in its range, but together they are work without end
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
        let request = TrainRequest {
            detector: Some(detector),
            ..train_request("refused", xy(normal_rows(50, 1)))
        };
        let refused = refusal(client.train(request).await);
        assert_eq!(
            (refused.reason.as_str(), refused.field.as_str()),
            ("INVALID_PARAMETER", field),
            "{refused:?}"
        );
    }
    server.stop().await;
}
