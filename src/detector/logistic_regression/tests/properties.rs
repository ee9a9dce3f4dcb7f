use ndarray::{Array2, Axis, concatenate, s};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

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
        let model = fit(&rows, &labels);
        let together = score(&model, rows.view());
        prop_assert_eq!(&score(&model, rows.slice(s![from.., ..])), &together[from..]);
        for (row, expected) in rows.rows().into_iter().zip(&together) {
            let alone = score(&model, row.insert_axis(Axis(0)));
            prop_assert_eq!(alone[0].to_bits(), expected.to_bits());
        }
    }

    #[test]
    fn a_stored_model_is_the_same(seed: u64, d in 1..5usize) {
        let (rows, labels) = table(30, d, 1e9, seed);
        let model = fit(&rows, &labels);
        let read: LogisticRegression = rmp_serde::from_slice(&bytes(&model)).expect("a model");
        read.validate().expect("valid");
        prop_assert_eq!(read, model);
    }

    #[test]
    fn hostile_finite_rows_never_give_nan(
        rows in vec(vec(hostile(), 3), 2..12),
        probes in vec(vec(hostile(), 3), 1..20),
        c in prop::sample::select(vec![1e-300, 1.0, 1e300, f64::MAX]),
        normal in prop::sample::select(vec![1e-300, 1.0, f64::MAX]),
        anomaly in prop::sample::select(vec![5e-324, 1.0, 1e300]),
        wide: bool,
    ) {
        let mut rows = matrix(&rows);
        let mut probes = matrix(&probes);
        if wide {
            let widen = |rows: &Array2<f64>| concatenate![Axis(1), *rows, Array2::ones((rows.nrows(), newton::MAX_DENSE))];
            (rows, probes) = (widen(&rows), widen(&probes));
        }
        let labels: Vec<bool> = (0..rows.nrows()).map(|i| i % 2 == 0).collect();
        let class_weight = ClassWeight::Given { normal, anomaly };
        let params = LogisticRegressionParams { c, class_weight, ..LogisticRegressionParams::default() };
        let model = fit_with(&params, &rows, &labels).expect("a model");
        model.validate().expect("valid");
        let scores = score(&model, probes.view());
        prop_assert!(scores.iter().all(|p| *p > 0.0 && *p < 1.0), "{scores:?}");
    }
}

fn matrix(rows: &[Vec<f64>]) -> Array2<f64> {
    Array2::from_shape_vec((rows.len(), rows[0].len()), rows.concat()).expect("a matrix")
}

fn hostile() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -10.0..10.0f64,
        1 => prop::sample::select(vec![
            0.0, -0.0, 1.0, 1e300, -1e300, f64::MAX, f64::MIN, 1e-300, 5e-324, 1e150, -1e150, 1e9, 1e9 + 1.0,
        ]),
    ]
}
