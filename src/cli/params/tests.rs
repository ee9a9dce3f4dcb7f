use super::*;
use crate::proto::v1::one_class_svm::GammaChoice;
use crate::proto::v1::{
    ClassWeight, Gaussian, IsolationForest, LogisticRegression, OneClassSvm, SvmKernel,
};

fn params(texts: &[&str]) -> Vec<Param> {
    texts
        .iter()
        .map(|text| text.parse().expect("KEY=VALUE"))
        .collect()
}

fn message(error: Error) -> String {
    match error {
        Error::Usage(message) => message,
        other => panic!("expected a usage error, got {other:?}"),
    }
}

#[test]
fn without_options_the_server_chooses_the_detector() {
    assert_eq!(detector(None, &[]).expect("nothing is wrong"), None);
}

#[test]
fn every_parameter_reaches_its_field() {
    let given = params(&[
        "n_estimators=200",
        "max_samples=0.5",
        "max_features = 3",
        "random_state=18446744073709551615",
        "ndim=2",
    ]);
    let forest = IsolationForest {
        n_estimators: Some(200),
        max_samples: Some(0.5),
        max_features: Some(3.0),
        random_state: Some(u64::MAX),
        ndim: Some(2),
    };
    assert_eq!(
        detector(Some("isolation_forest"), &given).expect("all are known"),
        Some(Detector::IsolationForest(forest))
    );
    assert_eq!(
        detector(Some("gaussian"), &params(&["ridge=1e-3"])).expect("known"),
        Some(Detector::Gaussian(Gaussian { ridge: Some(1e-3) }))
    );
}

#[test]
fn auto_is_the_default_of_max_samples() {
    assert_eq!(
        detector(Some("isolation_forest"), &params(&["max_samples=auto"])).expect("known"),
        Some(Detector::IsolationForest(IsolationForest::default()))
    );
}

#[test]
fn baselines_repeat_and_their_names_may_have_colons() {
    let given = params(&[
        "multiplier=2.5",
        "baseline=a:b [l/s]:-1:0.5",
        "baseline=c=d:3:4",
    ]);
    let Some(Detector::ZScore(z_score)) = detector(Some("z_score"), &given).expect("known") else {
        panic!("asked for z_score");
    };
    assert_eq!(z_score.multiplier, Some(2.5));
    let read: Vec<_> = z_score
        .baselines
        .iter()
        .map(|b| (b.feature.as_str(), b.mean, b.std))
        .collect();
    assert_eq!(
        read,
        [
            ("a:b [l/s]", Some(-1.0), Some(0.5)),
            ("c=d", Some(3.0), Some(4.0))
        ]
    );
}

#[test]
fn errors_say_what_is_wrong() {
    let cases = [
        (
            "isolation_forest",
            "n_estimator=1",
            "did you mean \"n_estimators\"?",
        ),
        ("isolation_forest", "ridge=1", "it has: n_estimators"),
        ("isolation_forest", "n_estimators=-1", "whole number"),
        ("isolation_forest", "n_estimators=1.5", "whole number"),
        ("isolation_forest", "max_samples=some", "finite number"),
        ("gaussian", "ridge=nan", "finite number"),
        ("z_score", "baseline=x:1", "FEATURE:MEAN:STD"),
        ("z_score", "baseline=:1:2", "FEATURE:MEAN:STD"),
        ("z_score", "baseline=x:one:2", "finite number"),
    ];
    for (name, text, expected) in cases {
        let error = detector(Some(name), &params(&[text])).expect_err(text);
        assert!(message(error).contains(expected), "{text}");
    }
    let twice = params(&["ndim=1", "ndim=2"]);
    assert!(
        message(detector(Some("isolation_forest"), &twice).expect_err("twice")).contains("twice")
    );
    for text in ["n_estimators", "=1", " =1", ""] {
        assert!(text.parse::<Param>().is_err(), "{text}");
    }
}

#[test]
fn words_set_enums_and_flags_and_dots_lead_into_messages() {
    let given = params(&["kernel=poly", "gamma=0.25", "nu=0.1"]);
    let svm = OneClassSvm {
        nu: Some(0.1),
        kernel: SvmKernel::Poly.into(),
        gamma_choice: Some(GammaChoice::Gamma(0.25)),
        ..OneClassSvm::default()
    };
    assert_eq!(
        detector(Some("one_class_svm"), &given).expect("known"),
        Some(Detector::OneClassSvm(svm))
    );
    let weight = |texts: &[&str]| match detector(Some("logistic_regression"), &params(texts)) {
        Ok(Some(Detector::LogisticRegression(LogisticRegression {
            c, class_weight, ..
        }))) => (c, class_weight),
        other => panic!("expected a logistic regression, got {other:?}"),
    };
    let balanced = ClassWeight {
        balanced: true,
        ..ClassWeight::default()
    };
    assert_eq!(
        weight(&["C=2", "class_weight=balanced"]),
        (Some(2.0), Some(balanced))
    );
    let given = ClassWeight {
        anomaly: Some(10.0),
        ..ClassWeight::default()
    };
    assert_eq!(weight(&["class_weight.anomaly=10"]), (None, Some(given)));
    let error = detector(Some("one_class_svm"), &params(&["kernel=cubic"])).expect_err("unknown");
    assert!(message(error).contains("rbf, linear, poly, sigmoid"));
    assert!(
        message(detector(Some("ecod"), &params(&["x=1"])).expect_err("none"))
            .contains("no parameters")
    );
}

#[test]
fn every_detector_has_a_name_and_a_line() {
    let names: Vec<String> = detector_names()
        .iter()
        .map(|name| name.get_name().to_owned())
        .collect();
    assert!(
        names.len() > 10 && names.contains(&"lesinn".to_owned()),
        "{names:?}"
    );
    assert!(detector_names().iter().all(|name| {
        name.get_help()
            .is_some_and(|help| !help.to_string().is_empty())
    }));
    assert!(detector_params().contains("gaussian: ridge\n"));
    assert!(detector(None, &params(&["ridge=1"])).is_err());
}

#[test]
fn ambiguous_parameters_are_refused() {
    let refused = |name: &str, texts: &[&str]| {
        message(detector(Some(name), &params(texts)).expect_err("refused"))
    };
    assert!(refused("isolation_forest", &["n_estimators.x=5"]).contains("no parameter"));
    assert!(refused("one_class_svm", &["gamma=0.5", "gamma_rule=auto"]).contains("exclude"));
    assert!(refused("one_class_svm", &["gamma=scale"]).contains("gamma_rule=scale"));
    assert!(
        refused("random_forest", &["class_weight=normal"]).contains("class_weight.normal=NUMBER")
    );
    assert!(refused("hbos", &["n_bins=auto"]).contains("auto_bins=true"));
    assert!(refused("lesinn", &["max_samples=auto"]).contains("whole number"));
    assert!(
        detector(Some("isolation-forest"), &[])
            .expect("an alias")
            .is_some()
    );
}
