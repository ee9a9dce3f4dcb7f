//! `knn` compared with PyOD's `KNN`: the training rows, each without itself, and new rows.

use crate::fixtures::{Case, Scores, fit, scores};
use crate::metrics::assert_close;

#[test]
fn scores_are_those_of_pyod() {
    Case::<Scores>::for_each("knn", |name, params, table, expected| {
        let learned = fit(&params, &table.rows(), &[]);
        let known = learned.calibration_scores.expect("honest scores");
        let new = scores(&learned.detector, table.new_rows().view());
        assert_close(name, &known, &expected.train_scores, 1e-9);
        assert_close(name, &new, &expected.new_scores, 1e-9);
    });
}
