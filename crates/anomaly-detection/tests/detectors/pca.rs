//! `pca` compared with NumPy's `eigh` of the covariance matrix. PyOD's score depends on the signs of the eigenvectors.

use crate::fixtures::{Case, Scores, fit, scores};
use crate::metrics::{assert_close, spearman};

#[test]
fn scores_are_those_of_an_eigendecomposition() {
    Case::<Scores>::for_each("pca", |name, params, table, expected| {
        let detector = fit(&params, &table.rows(), &[]).detector;
        let known = scores(&detector, table.rows().view());
        let new = scores(&detector, table.new_rows().view());
        assert_close(name, &known, &expected.train_scores, 1e-9);
        assert_close(name, &new, &expected.new_scores, 1e-9);
        assert!(spearman(&known, &expected.train_scores) >= 0.999, "{name}");
    });
}
