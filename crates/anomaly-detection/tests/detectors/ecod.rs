//! `ecod` compared with PyOD's `ECOD` on the training rows. Scores of new rows differ, because PyOD's depend on the batch that
//! they come in.

use crate::fixtures::{Case, TrainScores, fit, scores};
use crate::metrics::spearman;

#[test]
fn known_rows_rank_as_with_pyod() {
    Case::<TrainScores>::for_each("ecod", |name, params, table, expected| {
        let detector = fit(&params, &table.rows(), &[]).detector;
        let ours = scores(&detector, table.rows().view());
        let correlation = spearman(&ours, &expected.train_scores);
        assert!(correlation >= 0.999, "{name}: {correlation}");
    });
}
