//! `random_forest` compared with scikit-learn's `RandomForestClassifier`: how well they rank unseen rows.

use crate::fixtures::{Case, MeanAuroc, fit, scores, with_seed};
use crate::metrics::auroc;

#[test]
fn ranks_as_well_as_scikit_learn() {
    Case::<MeanAuroc>::for_each("random_forest", |name, params, table, expected| {
        let rows = table.rows();
        let aurocs = expected.seeds.iter().map(|&seed| {
            let detector = fit(&with_seed(&params, seed), &rows, &table.labels).detector;
            auroc(
                &table.new_labels,
                &scores(&detector, table.new_rows().view()),
            )
        });
        let mean = aurocs.sum::<f64>() / expected.seeds.len() as f64;
        let difference = (mean - expected.mean_auroc).abs();
        assert!(
            difference <= 0.01,
            "{name}: {mean} is not {}",
            expected.mean_auroc
        );
    });
}
