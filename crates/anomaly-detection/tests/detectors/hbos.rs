//! `hbos` compared with PyOD's `HBOS` on the training rows.

use crate::fixtures::{Case, TrainScores, fit, scores};
use crate::metrics::spearman;

#[test]
fn known_rows_rank_as_with_pyod() {
    Case::<TrainScores>::for_each("hbos", |name, params, table, expected| {
        let detector = fit(&params, &table.rows(), &[]).detector;
        let ours = scores(&detector, table.rows().view());
        let correlation = spearman(&ours, &expected.train_scores);
        assert!(correlation >= 0.999, "{name}: {correlation}");
    });
}
