//! The contract of detectors based on exact moments.

use linfa::traits::Fit;
use ndarray::{Array1, Array2};
use proptest::prelude::*;

use super::rows::{correlated, hostile_rows, offsets};
use super::{
    Tested, assert_within, fit_plain, fits_through_linfa, other_rows_change_nothing, score,
    storing_changes_nothing, updated_and_whole,
};
use crate::error::{Error, reason};
use crate::statistics::moments::Moments;

/// Checks that numbers are the same up to rounding.
pub(in crate::detector) fn assert_nearly(found: &[f64], expected: &[f64]) {
    assert_within(found, expected, |x| 1e-9 * x.abs().max(1e-3));
}

/// Neither linfa's `Fit` nor the other rows nor storing changes anything; `check` gets each row and its score.
pub(in crate::detector) fn is_one_and_the_same<D: Tested>(
    params: &D::Params,
    check: impl Fn(&D, &[f64], f64),
) where
    D::Params: Fit<Array2<f64>, Array1<()>, Error, Object = D>,
{
    fits_through_linfa::<D>(params, &correlated(50, 3, 0.0, 1));
    let fit = |rows: &Array2<f64>| fit_plain::<D>(params, rows).expect("a model");
    proptest!(ProptestConfig::with_cases(48), |(seed: u64, n in 20..60usize, d in 1..9usize, from in 0..20usize)| {
        let rows = correlated(n, d, 0.0, seed);
        let model = fit(&rows);
        let scores = other_rows_change_nothing(&model, rows.view(), from);
        for (row, score) in rows.outer_iter().zip(scores) {
            check(&model, &row.to_vec(), score);
        }
    });
    proptest!(ProptestConfig::with_cases(48), |(seed: u64, d in 1..5usize)| {
        storing_changes_nothing(&fit(&correlated(30, d, 1e9, seed)));
    });
}

/// An update is a fit on the union up to rounding: its moments, its scores and its `scales`.
pub(in crate::detector) fn learns_exactly<D: Tested>(
    params: &D::Params,
    moments: fn(&D) -> &Moments,
    scales: fn(&D) -> &[f64],
) {
    proptest!(ProptestConfig::with_cases(48), |(
        seed: u64,
        n in 20..1500usize,
        m in 1..1500usize,
        d in 1..6usize,
        offset in offsets(),
    )| {
        let rows = correlated(n + m, d, offset, seed);
        let (updated, whole) = updated_and_whole(params, &rows, n);
        assert_nearly(&score(&updated, rows.view()), &score(&whole, rows.view()));
        assert_nearly(scales(&updated), scales(&whole));
        let covariances = |m| moments(m).covariance().into_raw_vec_and_offset().0;
        assert_nearly(&covariances(&updated), &covariances(&whole));
    });
}

/// Hostile rows give a model whose scores are finite and not negative and which passes `check` with each new row, or are refused.
pub(in crate::detector) fn is_finite<D: Tested>(params: &D::Params, check: impl Fn(&D, &[f64])) {
    proptest!(ProptestConfig::with_cases(48), |(rows in hostile_rows(2..8), probes in hostile_rows(1..20))| {
        match fit_plain::<D>(params, &rows) {
            Ok(model) => {
                model.validate().expect("valid");
                let scores = score(&model, probes.view());
                prop_assert!(scores.iter().all(|s| s.is_finite() && *s >= 0.0), "{scores:?}");
                for probe in probes.outer_iter() {
                    check(&model, &probe.to_vec());
                }
            }
            Err(error) => prop_assert_eq!(error.reason(), reason::UNUSABLE_ROWS),
        }
    });
}

/// So many columns that their covariance would take 2 TB are refused.
pub(in crate::detector) fn refuses_too_many_columns<D: Tested>(params: &D::Params) {
    let error = fit_plain::<D>(params, &Array2::zeros((2, 500_000))).expect_err("too wide");
    assert_eq!(error.reason(), reason::UNUSABLE_ROWS);
    assert!(error.message().contains("at most 2048"), "{error}");
}
