use ndarray::{Array2, Axis, concatenate, s};
use proptest::prelude::*;

use super::*;
use crate::detector::contract::rows::hostile_rows;
use crate::detector::contract::{other_rows_change_nothing, storing_changes_nothing};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_order_of_the_rows_changes_nothing(seed: u64, n in 3..700usize, d in 1..9usize) {
        let (rows, labels) = table(n, d, 1e9, seed);
        let reversed = rows.slice(s![..;-1, ..]).to_owned();
        let reversed_labels: Vec<bool> = labels.iter().rev().copied().collect();
        prop_assert_eq!(bytes(&fit(&rows, &labels)), bytes(&fit(&reversed, &reversed_labels)));
    }

    #[test]
    fn a_row_scores_the_same_alone_and_in_any_batch(seed: u64, n in 20..60usize, d in 1..9usize, from in 0..20usize) {
        let (rows, labels) = table(n, d, 0.0, seed);
        other_rows_change_nothing(&fit(&rows, &labels), rows.view(), from);
    }

    #[test]
    fn a_model_survives_its_round_trip(seed: u64, d in 1..5usize) {
        let (rows, labels) = table(30, d, 1e9, seed);
        storing_changes_nothing(&fit(&rows, &labels));
    }

    #[test]
    fn hostile_finite_rows_never_give_nan(
        mut rows in hostile_rows(2..12),
        mut probes in hostile_rows(1..20),
        c in prop::sample::select(vec![1e-300, 1.0, 1e300, f64::MAX]),
        normal in prop::sample::select(vec![1e-300, 1.0, f64::MAX]),
        anomaly in prop::sample::select(vec![5e-324, 1.0, 1e300]),
        wide: bool,
    ) {
        if wide {
            let widen = |rows: &Array2<f64>| concatenate![Axis(1), *rows, Array2::ones((rows.nrows(), newton::MAX_DENSE))];
            (rows, probes) = (widen(&rows), widen(&probes));
        }
        let labels: Vec<bool> = (0..rows.nrows()).map(|i| i % 2 == 0).collect();
        let class_weight = ClassWeight::Given { normal, anomaly };
        let params = LogisticRegressionParams::new().with_c(c).with_class_weight(class_weight);
        let model = fit_with(&params, &rows, &labels).expect("a model");
        model.validate().expect("valid");
        let scores = score(&model, probes.view());
        prop_assert!(scores.iter().all(|p| *p > 0.0 && *p < 1.0), "{scores:?}");
    }
}
