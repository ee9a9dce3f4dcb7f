//! `one_class_svm` compared with scikit-learn's `OneClassSVM` and with linfa-svm, both of which are solved far beyond our
//! tolerance.

use linfa::DatasetBase;
use linfa::dataset::Pr;
use linfa::traits::Fit;
use linfa_svm::Svm;
use ndarray::{Array1, Array2};
use serde_json::json;

use crate::any::normal_rows;
use crate::fixtures::{Case, Scores, fit, params, scores};
use crate::metrics::deviation;

/// The largest difference of decision values from the expected ones, as a fraction of their spread.
const TOLERANCE: f64 = 5e-3;

#[test]
fn scores_are_those_of_scikit_learn() {
    Case::<Scores>::for_each("one_class_svm", |name, params, table, expected| {
        let detector = fit(&params, &table.rows(), &[]).detector;
        for (rows, expected) in [
            (table.rows(), &expected.train_scores),
            (table.new_rows(), &expected.new_scores),
        ] {
            let deviation = deviation(&scores(&detector, rows.view()), expected);
            assert!(deviation <= TOLERANCE, "{name}: {deviation}");
        }
    });
}

#[test]
fn scores_are_those_of_linfa() {
    let (rows, new_rows) = (normal_rows(120, 2, 1), normal_rows(40, 2, 2));
    let (nu, gamma) = (0.2, 0.5);
    let dataset = DatasetBase::new(rows.clone(), Array1::from_elem(rows.nrows(), ()));
    let svm: Svm<f64, bool> = Svm::<f64, Pr>::params()
        .nu_weight(nu)
        .gaussian_kernel(1.0 / gamma)
        .eps(1e-7)
        .fit(&dataset)
        .expect("fits");
    let changes = json!({"nu": nu, "gamma": {"value": gamma}});
    let params = params(
        "one_class_svm",
        changes.as_object().expect("an object").clone(),
    );
    let detector = fit(&params, &rows, &[]).detector;
    let linfa = |rows: &Array2<f64>| -> Vec<f64> {
        rows.rows()
            .into_iter()
            .map(|row| svm.rho - svm.weighted_sum(&row))
            .collect()
    };
    for rows in [rows, new_rows] {
        let deviation = deviation(&scores(&detector, rows.view()), &linfa(&rows));
        assert!(deviation <= TOLERANCE, "{deviation}");
    }
}
