//! The contract of all detectors, as functions that their tests call, with rows to test on.

use std::fmt::Debug;

use linfa::traits::Fit;
use linfa::{DatasetBase, ParamGuard};
use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Detector, Learned, Method, PastRows, Sample};
use crate::context::Context;
use crate::error::{Error, Result, reason};

pub(super) mod moments;
pub(super) mod neighbors;
pub(super) mod ranks;
pub(super) mod rows;

use rows::correlated;

/// A detector that tests can compare, store and read back.
pub(super) trait Tested:
    Method + Debug + Clone + PartialEq + Serialize + DeserializeOwned
{
}

impl<D: Method + Debug + Clone + PartialEq + Serialize + DeserializeOwned> Tested for D {}

pub(super) fn sample(rows: &Array2<f64>) -> Sample<'_> {
    Sample::complete(rows.view())
}

pub(super) fn fit<D: Tested>(params: &D::Params, rows: &Array2<f64>) -> Result<Learned<D>> {
    D::fit(params.check_ref()?, &sample(rows), &Context::new())
}

/// The fit of a detector that scores its training rows without bias.
pub(super) fn fit_plain<D: Tested>(params: &D::Params, rows: &Array2<f64>) -> Result<D> {
    fit(params, rows).map(plain)
}

/// The detector of an update without past rows.
pub(super) fn update_plain<D: Tested>(model: &D, rows: &Array2<f64>) -> Result<D> {
    model
        .update(PastRows::none(), sample(rows), &Context::new())
        .map(plain)
}

/// A model of the first `n` rows that then learned the rest, and one of all rows.
fn updated_and_whole<D: Tested>(params: &D::Params, rows: &Array2<f64>, n: usize) -> (D, D) {
    let (first, second) = rows.view().split_at(Axis(0), n);
    let model: D = fit_plain(params, &first.to_owned()).expect("a model");
    let updated = update_plain(&model, &second.to_owned()).expect("a model");
    (updated, fit_plain(params, rows).expect("a model"))
}

fn plain<D>(learned: Learned<D>) -> D {
    assert_eq!(learned.calibration_scores, None);
    learned.detector
}

pub(super) fn score<D: Detector>(model: &D, rows: ArrayView2<'_, f64>) -> Vec<f64> {
    let mut scores = vec![f64::NAN; rows.nrows()];
    model.score_chunk(rows, &mut scores);
    scores
}

pub(super) fn bytes<D: Serialize>(model: &D) -> Vec<u8> {
    crate::messagepack::written(model).expect("bytes")
}

/// Checks each number against its expected value, up to the error.
pub(super) fn assert_close(found: &[f64], expected: &[f64], error: f64) {
    assert_within(found, expected, |_| error);
}

/// Checks each number against its expected value, with the error allowed for that value.
pub(super) fn assert_within(found: &[f64], expected: &[f64], error: impl Fn(f64) -> f64) {
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= error(*b), "{a} {b}");
    }
}

pub(super) fn on_threads<T: Send>(n: usize, work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(n);
    pool.build().expect("a pool").install(work)
}

/// Whether two models are bit for bit the same.
pub(super) fn are_same<D: Tested>(a: &D, b: &D) -> bool {
    a == b && bytes(a) == bytes(b)
}

/// A model is bit for bit the same on any number of threads.
pub(super) fn threads_change_nothing<D: Tested>(make: impl Fn() -> D + Sync) {
    let model = make();
    for n in [1, 3] {
        assert!(are_same(&on_threads(n, &make), &model), "{n} threads");
    }
}

/// A fit on the rows in reverse is bit for bit the same.
pub(super) fn order_changes_nothing<D: Tested>(
    fit: impl Fn(&Array2<f64>) -> D,
    rows: &Array2<f64>,
) {
    let reversed = rows.slice(s![..;-1, ..]).to_owned();
    assert!(are_same(&fit(&reversed), &fit(rows)));
}

/// A row scores bit for bit the same alone, among all rows and among those from one on. Returns the scores of all rows.
pub(super) fn other_rows_change_nothing<D: Detector>(
    model: &D,
    rows: ArrayView2<'_, f64>,
    from: usize,
) -> Vec<f64> {
    let together = score(model, rows);
    assert_eq!(score(model, rows.slice(s![from.., ..])), together[from..]);
    for (row, expected) in rows.outer_iter().zip(&together) {
        let alone = score(model, row.insert_axis(Axis(0)));
        assert_eq!(alone[0].to_bits(), expected.to_bits());
    }
    together
}

/// A model survives its round trip and is valid.
pub(super) fn storing_changes_nothing<D: Tested>(model: &D) {
    let read: D = crate::messagepack::read(&bytes(model)).expect("a model");
    read.validate().expect("valid");
    assert_eq!(&read, model);
}

/// Linfa's `Fit` gives the same model.
pub(super) fn fits_through_linfa<D: Tested>(params: &D::Params, rows: &Array2<f64>)
where
    D::Params: Fit<Array2<f64>, Array1<()>, Error, Object = D>,
{
    let dataset = DatasetBase::from(rows.clone());
    let model = Fit::fit(params, &dataset).expect("a model");
    assert_eq!(model, fit(params, rows).expect("a model").detector);
}

/// A model is valid, but not after any of the damages.
pub(super) fn refuses_damages<D: Detector + Clone>(good: &D, damages: &[fn(&mut D)]) {
    good.validate().expect("valid");
    for (i, damage) in damages.iter().enumerate() {
        let mut bad = good.clone();
        damage(&mut bad);
        let error = bad.validate().expect_err(&format!("damage {i}"));
        assert_eq!(error.reason(), reason::DAMAGED_ARTIFACT, "damage {i}");
    }
}

/// A model does not learn from rows of fewer columns.
pub(super) fn refuses_another_width<D: Tested>(model: &D) {
    let narrow = correlated(10, model.n_features() - 1, 0.0, 5);
    let error = update_plain(model, &narrow).expect_err("refused");
    assert_eq!(error.reason(), reason::SCHEMA_MISMATCH);
}

/// A cancelled context stops fits and updates.
pub(super) fn stops_when_cancelled<D: Tested>(params: &D::Params, rows: &Array2<f64>) {
    let model: D = fit(params, rows).expect("a model").detector;
    let context = Context::new();
    context.cancel();
    let checked = params.check_ref().expect("valid");
    let fitted = D::fit(checked, &sample(rows), &context);
    let updated = model.update(PastRows::none(), sample(rows), &context);
    for learned in [fitted, updated] {
        let error = learned.expect_err("cancelled");
        assert_eq!(error.reason(), reason::CANCELLED);
    }
}
