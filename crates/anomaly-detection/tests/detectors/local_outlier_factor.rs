//! `local_outlier_factor` compared with scikit-learn's `LocalOutlierFactor`: the training rows, each without itself, and new
//! rows.

use serde::Deserialize;

use crate::fixtures::{Case, Scores, fit, scores};
use crate::metrics::{assert_close, spearman};

#[derive(Deserialize)]
struct Expected {
    /// Whether many rows are equally near, so that the peer's scores depend on the order of its rows. The expected scores are
    /// then means over many orders.
    tied: bool,
    #[serde(flatten)]
    scores: Scores,
}

#[test]
fn scores_are_those_of_scikit_learn() {
    Case::<Expected>::for_each("local_outlier_factor", |name, params, table, expected| {
        let learned = fit(&params, &table.rows(), &[]);
        let known = learned.calibration_scores.expect("honest scores");
        let new = scores(&learned.detector, table.new_rows().view());
        let Scores {
            train_scores,
            new_scores,
        } = &expected.scores;
        for (ours, peers) in [(&known, train_scores), (&new, new_scores)] {
            if expected.tied {
                assert!(spearman(ours, peers) >= 0.99, "{name}");
                assert_close(name, ours, peers, 0.1);
            } else {
                assert_close(name, ours, peers, 1e-9);
            }
        }
    });
}
