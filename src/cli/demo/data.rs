//! The bundled tables of the demo, and the comparison of predictions with known labels.

use std::io::Cursor;
use std::path::Path;

use crate::cli::error::{Error, Result};
use crate::cli::input::{Chunks, FileArgs};

/// Wisconsin diagnostic breast cancer: 569 rows, 30 features, and [`LABEL`].
pub(super) const BREAST_CANCER: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/examples/data/breast_cancer.csv"
));
/// The column of known labels: 1 where the mass is malignant.
pub(super) const LABEL: &str = "malignant";

/// Water flow through a pipe: 1268 hours.
pub(super) const WATER_FLOW: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/examples/data/water_flow.csv"
));
/// Its only feature, in litres per second.
pub(super) const FLOW: &str = "Water flow [l/s]";

/// The tables as files.
pub(super) const FILES: [(&str, &str); 2] = [
    ("breast_cancer.csv", BREAST_CANCER),
    ("water_flow.csv", WATER_FLOW),
];

/// The rows of a table, to be sent in chunks.
pub(super) fn chunks(table: &'static str) -> Result<Chunks> {
    let (source, path) = (Box::new(Cursor::new(table)), Path::new("the demo's data"));
    Chunks::of_csv(source, path, &FileArgs::default(), &[], false)?
        .ok_or_else(|| Error::failed("the demo's data is not CSV"))
}

/// One column of a table, as numbers.
pub(super) fn column(table: &str, name: &str) -> Result<Vec<f64>> {
    let wrong =
        |why: String| Error::failed(format!("the column {name:?} of the demo's data: {why}"));
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let headers = reader.headers().map_err(|error| wrong(error.to_string()))?;
    let index = headers
        .iter()
        .position(|header| header == name)
        .ok_or_else(|| wrong("is not there".to_owned()))?;
    reader
        .records()
        .map(|record| {
            let record = record.map_err(|error| wrong(error.to_string()))?;
            let cell = record.get(index).unwrap_or_default();
            cell.parse()
                .map_err(|_| wrong(format!("{cell:?} is not a number")))
        })
        .collect()
}

/// How decisions compare with labels.
#[derive(Debug, PartialEq, serde::Serialize)]
pub(super) struct Comparison {
    /// The share of flagged rows that are anomalies; 0 when none is flagged.
    pub(super) precision: f64,
    /// The share of anomalies that are flagged; 0 when there are none.
    pub(super) recall: f64,
    pub(super) true_positives: usize,
    pub(super) false_positives: usize,
    pub(super) false_negatives: usize,
}

/// Compares decisions with labels, row by row.
pub(super) fn compare(flagged: &[bool], labels: &[bool]) -> Comparison {
    let count = |f: bool, l: bool| {
        flagged
            .iter()
            .zip(labels)
            .filter(|&(&a, &b)| a == f && b == l)
            .count()
    };
    let (tp, fp, missed) = (count(true, true), count(true, false), count(false, true));
    let share = |whole: usize| {
        if whole == 0 {
            0.0
        } else {
            tp as f64 / whole as f64
        }
    };
    Comparison {
        precision: share(tp + fp),
        recall: share(tp + missed),
        true_positives: tp,
        false_positives: fp,
        false_negatives: missed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_what_their_readme_says() {
        let labels = column(BREAST_CANCER, LABEL).expect("a column of numbers");
        assert_eq!(labels.len(), 569);
        assert_eq!(labels.iter().filter(|&&label| label == 1.0).count(), 212);
        assert_eq!(labels.iter().filter(|&&label| label == 0.0).count(), 357);
        let radius = column(BREAST_CANCER, "mean_radius").expect("a column of numbers");
        assert_eq!(radius.iter().copied().fold(0.0, f64::max), 28.11);

        let flow = column(WATER_FLOW, FLOW).expect("a column of numbers");
        assert_eq!(flow.len(), 1268);
        assert!(flow.iter().all(|v| (20.0..120.0).contains(v)));
        assert!(column(WATER_FLOW, "Time").is_err());
        assert!(column(WATER_FLOW, "none").is_err());
    }

    #[test]
    fn precision_and_recall() {
        let made = compare(&[true, true, false, false], &[true, false, true, false]);
        assert_eq!((made.precision, made.recall), (0.5, 0.5));
        let nothing = compare(&[false], &[false]);
        assert_eq!((nothing.precision, nothing.recall), (0.0, 0.0));
    }
}
