//! The contract of detectors based on rank summaries.

use linfa::traits::Fit;
use ndarray::{Array1, Array2, Axis, concatenate, s};
use proptest::prelude::*;

use super::rows::{hostile_rows, mixed, offsets};
use super::{
    Tested, fit_plain, fits_through_linfa, order_changes_nothing, other_rows_change_nothing,
    refuses_another_width, score, stops_when_cancelled, storing_changes_nothing,
    threads_change_nothing, update_plain, updated_and_whole,
};
use crate::error::{Error, reason};
use crate::statistics::rank_summary::RankSummary;

/// Fits with the default parameters.
pub(in crate::detector) fn fit<D: Tested<Params: Default>>(rows: &Array2<f64>) -> D {
    fit_plain(&D::Params::default(), rows).expect("a model")
}

/// Neither linfa's `Fit` nor threads nor the order of rows nor the other rows nor storing changes anything.
pub(in crate::detector) fn is_one_and_the_same<D>()
where
    D: Tested<Params: Default + Fit<Array2<f64>, Array1<()>, Error, Object = D>>,
{
    fits_through_linfa::<D>(&D::Params::default(), &mixed(50, 3, 0.0, 1));
    for (n, d) in [(20_000, 2), (50, 700)] {
        let rows = mixed(n, d, 0.0, 7);
        threads_change_nothing(|| fit::<D>(&rows));
        order_changes_nothing(fit::<D>, &rows);
    }
    proptest!(ProptestConfig::with_cases(48), |(seed: u64, n in 20..60usize, d in 1..9usize, from in 0..20usize)| {
        let rows = mixed(n, d, 0.0, seed);
        other_rows_change_nothing(&fit::<D>(&rows), rows.view(), from);
    });
    proptest!(ProptestConfig::with_cases(48), |(seed: u64, n in 2..40usize, d in 1..5usize)| {
        storing_changes_nothing(&fit::<D>(&mixed(n, d, 1e9, seed)));
    });
}

/// Scores are finite, whatever the rows and however many columns they have.
pub(in crate::detector) fn is_finite<D: Tested<Params: Default>>() {
    for (n, d) in [(2, 1), (2, 1000), (3000, 1), (5, 3)] {
        let rows = mixed(n, d, 1e9, 8);
        let model: D = fit(&rows);
        model.validate().expect("valid");
        assert_eq!(model.n_features(), d);
        assert!(model.size_bytes() > 8 * d);
        let found = other_rows_change_nothing(&model, rows.slice(s![..n.min(40), ..]), 0);
        let together = score(&model, rows.view());
        assert_eq!(found, together[..n.min(40)]);
        assert!(together.iter().all(|x| x.is_finite()));
    }
    score(&fit::<D>(&mixed(2, 0, 0.0, 0)), mixed(3, 0, 0.0, 0).view());

    proptest!(ProptestConfig::with_cases(48), |(
        rows in hostile_rows(2..8),
        more in hostile_rows(1..8),
        probes in hostile_rows(1..20),
    )| {
        let model: D = fit(&rows);
        let updated = update_plain(&model, &more).expect("a model");
        for model in [model, updated] {
            model.validate().expect("valid");
            let scores = score(&model, probes.view());
            prop_assert!(scores.iter().all(|s| s.is_finite()), "{scores:?}");
        }
    });
}

/// Missing values are ignored, in a fit and in an update with an empty column.
pub(in crate::detector) fn learns_what_is_there<D: Tested<Params: Default>>(
    ranks: fn(&D) -> &[RankSummary],
) {
    let rows = mixed(60, 3, 0.0, 3);
    let mut gaps = mixed(5, 3, 0.0, 4);
    gaps.fill(f64::NAN);
    let observed = concatenate![Axis(0), gaps, rows, gaps];
    let model: D = fit(&rows);
    assert_eq!(fit::<D>(&observed), model);

    let mut more = mixed(5, 3, 0.0, 5);
    let complete: D = fit(&concatenate![Axis(0), rows, more]);
    more.column_mut(1).fill(f64::NAN);
    let partly = update_plain(&model, &more).expect("a model");
    assert_eq!(ranks(&partly)[0], ranks(&complete)[0]);
    assert_eq!(ranks(&partly)[1], ranks(&model)[1]);
}

/// An update is a fit on the union while the summaries are exact: `same` compares the two.
pub(in crate::detector) fn learns_exactly<D: Tested>(params: &D::Params, same: impl Fn(&D, &D)) {
    proptest!(ProptestConfig::with_cases(48), |(
        seed: u64,
        n in 2..500usize,
        m in 1..500usize,
        d in 1..6usize,
        offset in offsets(),
    )| {
        let rows = mixed(n + m, d, offset, seed);
        let (updated, whole) = updated_and_whole(params, &rows, n);
        same(&updated, &whole);
    });
}

/// One row, an empty column, rows of another width and a cancelled context are refused.
pub(in crate::detector) fn refuses<D: Tested<Params: Default>>() {
    let params = D::Params::default();
    let few = mixed(1, 2, 0.0, 2);
    let mut gap = mixed(10, 3, 0.0, 2);
    gap.column_mut(1).fill(f64::NAN);
    for rows in [few, gap] {
        let error = fit_plain::<D>(&params, &rows).expect_err("refused");
        assert_eq!(error.reason(), reason::UNUSABLE_ROWS);
    }
    let rows = mixed(10, 3, 0.0, 6);
    refuses_another_width(&fit::<D>(&rows));
    stops_when_cancelled::<D>(&params, &rows);
}
