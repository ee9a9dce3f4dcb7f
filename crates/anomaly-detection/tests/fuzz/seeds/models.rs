//! Models with every detector and every kind of feature.

use anomaly_detection::context::Context;
use anomaly_detection::detector::DetectorParams;
use anomaly_detection::features::{
    EngineeringParams, EngineeringSpec, FeaturePolicy, Roles, Scaling,
};
use anomaly_detection::pipeline::TrainingSpec;
use anomaly_detection::pipeline::artifact::{encode_model, encode_reservoir};
use anomaly_detection::table::{Column, Table};
use serde_json::{Value, json};

use super::Seed;
use crate::bodies::artifact::input;

const N_ROWS: usize = 12;

pub(super) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for detector in DetectorParams::defaults() {
        let name = detector.name();
        seeds.push(seed(name, of_numbers(small(name, json!({})))));
    }
    let others = [
        ("isolation_forest", "extended", json!({"ndim": 2})),
        ("knn", "mean", json!({"method": "mean"})),
        ("lesinn", "euclidean", json!({"metric": "euclidean"})),
        (
            "one_class_svm",
            "poly",
            json!({"kernel": "poly", "degree": 2}),
        ),
        ("hbos", "auto", json!({"n_bins": "auto"})),
        ("z_score", "multiplier", json!({"multiplier": 2.0})),
    ];
    for (name, variant, changes) in others {
        let spec = of_numbers(small(name, changes));
        seeds.push(seed(&format!("{name}-{variant}"), spec));
    }
    seeds.push(seed(
        "scaled",
        TrainingSpec {
            scaling: Some(Scaling::Robust),
            ..of_numbers(small("gaussian", json!({})))
        },
    ));
    seeds.push(seed(
        "categories",
        TrainingSpec {
            feature_policy: FeaturePolicy::Adaptive,
            roles: Roles {
                features: vec!["x".to_owned(), "kind".to_owned()],
                ..Roles::default()
            },
            ..of_numbers(small("ecod", json!({})))
        },
    ));
    seeds.push(seed(
        "series",
        TrainingSpec {
            engineering: Some(EngineeringSpec {
                params: EngineeringParams {
                    lags: vec![1, 3],
                    rolling_windows: vec![2],
                    ..EngineeringParams::default()
                },
                columns: vec!["x".to_owned()],
            }),
            roles: Roles {
                features: vec!["x".to_owned()],
                time: Some("when".to_owned()),
                series: Some("kind".to_owned()),
                ..Roles::default()
            },
            ..of_numbers(small("z_score", json!({})))
        },
    ));
    seeds
}

fn of_numbers(detector: DetectorParams) -> TrainingSpec {
    let label = detector.is_supervised().then(|| "label".to_owned());
    TrainingSpec {
        detector,
        roles: Roles {
            features: vec!["x".to_owned(), "y".to_owned()],
            label,
            ..Roles::default()
        },
        reservoir_size: 6,
        ..TrainingSpec::default()
    }
}

/// A detector with so few trees that it stays small, but still has every part.
fn small(name: &str, changes: Value) -> DetectorParams {
    let mut params = DetectorParams::defaults().into_iter();
    let params = params.find(|params| params.name() == name);
    let mut value = serde_json::to_value(params.expect("there is such a detector")).expect("JSON");
    let mut changed = json!({"n_estimators": 2, "n_neighbors": 2, "max_samples": 4});
    if name == "isolation_forest" {
        changed = json!({"n_estimators": 2});
    }
    let given = changes.as_object().expect("an object").clone();
    for (key, change) in changed
        .as_object()
        .expect("an object")
        .clone()
        .into_iter()
        .chain(given)
    {
        if let Some(param) = value[name].get_mut(&key) {
            *param = change;
        }
    }
    serde_json::from_value(value).expect("parameters")
}

fn table() -> Table {
    let numbers =
        |of: fn(f64) -> f64| Column::Numbers((0..N_ROWS).map(|row| of(row as f64)).collect());
    let kinds = (0..N_ROWS).map(|row| Some(["a", "b"][row % 2]));
    let days: Vec<String> = (1..=N_ROWS)
        .map(|day| format!("2024-01-{day:02}"))
        .collect();
    let columns = [
        ("x", numbers(|row| (row * 0.7).sin())),
        (
            "y",
            numbers(|row| if row == 5.0 { 40.0 } else { row / 3.0 }),
        ),
        ("kind", Column::Texts(kinds.collect())),
        (
            "when",
            Column::Texts(days.iter().map(|day| Some(day.as_str())).collect()),
        ),
        (
            "label",
            numbers(|row| f64::from(u8::from(row % 5.0 == 0.0))),
        ),
    ];
    let (names, columns) = columns
        .into_iter()
        .map(|(name, column)| (name.to_owned(), column))
        .unzip();
    Table::from_columns(Some(names), columns).expect("a table")
}

fn seed(name: &str, spec: TrainingSpec) -> Seed {
    let fitted = spec.fit(Some(table()), &Context::new());
    let fitted = fitted.unwrap_or_else(|error| panic!("{name}: {error}"));
    let model = encode_model(&fitted.model).expect("encodable");
    let reservoir = fitted
        .reservoir
        .map(|reservoir| encode_reservoir(&reservoir).expect("encodable"));
    Seed::new("artifact", name, input(&model, reservoir.as_deref()))
}
