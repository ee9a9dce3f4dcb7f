//! The fixtures: tables, and the results of the peers on them.

use std::collections::BTreeMap;
use std::path::Path;

use anomaly_detection::context::Context;
use anomaly_detection::detector::{DetectorParams, FittedDetector, Learned, Sample};
use ndarray::{Array2, ArrayView2};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// A table as a detector gets it, and more rows like it.
#[derive(Deserialize)]
pub(crate) struct Table {
    rows: Vec<Vec<f64>>,
    pub(crate) labels: Vec<bool>,
    new_rows: Vec<Vec<f64>>,
    pub(crate) new_labels: Vec<bool>,
}

impl Table {
    /// The rows to learn from.
    pub(crate) fn rows(&self) -> Array2<f64> {
        matrix(&self.rows)
    }

    /// The rows that are not learned from.
    pub(crate) fn new_rows(&self) -> Array2<f64> {
        matrix(&self.new_rows)
    }
}

/// A table, our parameters, and the result of the peer with the same parameters.
#[derive(Deserialize)]
pub(crate) struct Case<E> {
    table: String,
    params: Map<String, Value>,
    #[serde(flatten)]
    pub(crate) expected: E,
}

/// The scores of the training rows and of new rows.
#[derive(Deserialize)]
pub(crate) struct Scores {
    pub(crate) train_scores: Vec<f64>,
    pub(crate) new_scores: Vec<f64>,
}

/// The scores of the training rows.
#[derive(Deserialize)]
pub(crate) struct TrainScores {
    pub(crate) train_scores: Vec<f64>,
}

/// The mean AUROC over some seeds.
#[derive(Deserialize)]
pub(crate) struct MeanAuroc {
    pub(crate) seeds: Vec<u64>,
    pub(crate) mean_auroc: f64,
}

impl<E: DeserializeOwned> Case<E> {
    /// Calls `work` with the name, the parameters and the table of every case of a detector.
    pub(crate) fn for_each(detector: &str, mut work: impl FnMut(&str, DetectorParams, &Table, &E)) {
        #[derive(Deserialize)]
        struct Tables {
            tables: BTreeMap<String, Table>,
        }
        #[derive(Deserialize)]
        #[serde(bound = "E: DeserializeOwned")]
        struct Cases<E> {
            cases: Vec<Case<E>>,
        }
        let Tables { tables } = read("tables");
        let Cases { cases } = read::<Cases<E>>(detector);
        assert!(!cases.is_empty(), "{detector} has cases");
        for case in cases {
            let name = format!("{detector} {:?} on {}", case.params, case.table);
            let params = params(detector, case.params);
            work(&name, params, &tables[&case.table], &case.expected);
        }
    }
}

/// The defaults of a detector, with some parameters replaced.
pub(crate) fn params(detector: &str, changes: Map<String, Value>) -> DetectorParams {
    let defaults = DetectorParams::defaults();
    let named = defaults.iter().find(|params| params.name() == detector);
    let default = named.unwrap_or_else(|| panic!("there is no detector {detector}"));
    let mut params = serde_json::to_value(default).expect("parameters");
    for (parameter, value) in changes {
        let place = params[detector].get_mut(&parameter);
        *place.unwrap_or_else(|| panic!("{detector} has no parameter {parameter}")) = value;
    }
    serde_json::from_value(params).expect("parameters")
}

/// The same parameters with another seed.
pub(crate) fn with_seed(params: &DetectorParams, seed: u64) -> DetectorParams {
    let mut value = serde_json::to_value(params).expect("parameters");
    value[params.name()]["random_state"] = seed.into();
    serde_json::from_value(value).expect("parameters")
}

/// Fits a detector, with the labels if it is supervised.
pub(crate) fn fit(
    params: &DetectorParams,
    rows: &Array2<f64>,
    labels: &[bool],
) -> Learned<FittedDetector> {
    let sample = Sample {
        labels: params.is_supervised().then_some(labels),
        ..Sample::complete(rows.view())
    };
    let learned = params.fit(&sample, &Context::new());
    learned.unwrap_or_else(|error| panic!("{params:?}: {error}"))
}

/// The score of each row.
pub(crate) fn scores(detector: &FittedDetector, rows: ArrayView2<'_, f64>) -> Vec<f64> {
    let mut scores = vec![f64::NAN; rows.nrows()];
    detector.as_detector().score_chunk(rows, &mut scores);
    scores
}

fn read<T: DeserializeOwned>(name: &str) -> T {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/detectors/fixtures");
    let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).expect("a fixture");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}.json: {error}"))
}

fn matrix(rows: &[Vec<f64>]) -> Array2<f64> {
    Array2::from_shape_vec((rows.len(), rows[0].len()), rows.concat()).expect("rows of one length")
}
