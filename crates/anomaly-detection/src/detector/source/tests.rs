//! What the detectors promise that learn from rows that are too many to be held.

use std::sync::atomic::{AtomicUsize, Ordering};

use linfa::ParamGuard;
use ndarray::{Array2, s};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::detector::contract::rows::{correlated, mixed};
use crate::detector::contract::{Tested, are_same, on_threads};
use crate::detector::isolation_forest::{IsolationForestParams, MaxSamples};
use crate::detector::{
    Auto, AutoParams, DetectorParams, Ecod, EcodParams, Gaussian, GaussianParams, Hbos, HbosParams,
    IsolationForest, Learned, Lesinn, LesinnParams, NBins, Pca, PcaParams, ZScore, ZScoreParams,
};
use crate::statistics::ColumnError;
use crate::statistics::rechunk::long_chunk_rows;

/// Rows in chunks whose sizes cycle through these.
struct Cut<'a> {
    rows: &'a Array2<f64>,
    observed: &'a Array2<f64>,
    sizes: &'a [usize],
    n_rows: usize,
    passes: AtomicUsize,
}

impl<'a> Cut<'a> {
    fn new(rows: &'a Array2<f64>, observed: &'a Array2<f64>, sizes: &'a [usize]) -> Self {
        Self {
            rows,
            observed,
            sizes,
            n_rows: rows.nrows(),
            passes: AtomicUsize::new(0),
        }
    }

    fn passes(&self) -> usize {
        self.passes.load(Ordering::Relaxed)
    }
}

impl RowSource for Cut<'_> {
    fn n_rows(&self) -> usize {
        self.n_rows
    }

    fn n_features(&self) -> usize {
        self.rows.ncols()
    }

    fn visit(&self, context: &Context, each: &mut EachChunk<'_>) -> Result<()> {
        self.passes.fetch_add(1, Ordering::Relaxed);
        let (mut start, mut sizes) = (0, self.sizes.iter().cycle());
        while start < self.rows.nrows() {
            context.check()?;
            let size = sizes.next().copied().unwrap_or(1).max(1);
            let end = (start + size).min(self.rows.nrows());
            each(Chunk {
                rows: self.rows.slice(s![start..end, ..]),
                observed: self.observed.slice(s![start..end, ..]),
            })?;
            start = end;
        }
        Ok(())
    }
}

/// The rows with missing values replaced by 0.5.
fn imputed(observed: &Array2<f64>) -> Array2<f64> {
    observed.mapv(|x| if x.is_nan() { 0.5 } else { x })
}

fn streamed<D: Tested>(params: &D::Params, source: &dyn RowSource) -> Result<D> {
    let checked = params.check_ref().expect("valid");
    let Learned {
        detector,
        calibration_scores,
    } = D::fit(checked, source, &Context::new())?;
    assert_eq!(calibration_scores, None);
    Ok(detector)
}

fn held<D: Tested>(params: &D::Params, rows: &Array2<f64>, observed: &Array2<f64>) -> Result<D> {
    let sample = Sample {
        rows: rows.view(),
        observed: observed.view(),
        labels: None,
    };
    let learned = D::fit(params.check_ref()?, &sample, &Context::new())?;
    Ok(learned.detector)
}

/// Rows in chunks give bit for bit the model, or the error, of all rows at once.
fn cuts_change_nothing<D: Tested>(
    params: &D::Params,
    observed: &Array2<f64>,
    sizes: &[usize],
    passes: usize,
) {
    let rows = imputed(observed);
    let source = Cut::new(&rows, observed, sizes);
    match (
        streamed::<D>(params, &source),
        held::<D>(params, &rows, observed),
    ) {
        (Ok(streamed), Ok(held)) => {
            assert!(are_same(&streamed, &held), "{}", D::NAME);
            assert_eq!(source.passes(), passes, "{}", D::NAME);
        }
        (Err(streamed), Err(held)) => {
            assert_eq!(streamed.reason(), held.reason(), "{}", D::NAME);
            assert_eq!(streamed.message(), held.message(), "{}", D::NAME);
        }
        (streamed, held) => panic!("{}: {:?} and {:?}", D::NAME, streamed.err(), held.err()),
    }
}

fn forest(max_samples: MaxSamples, ndim: usize) -> IsolationForestParams {
    IsolationForestParams::new()
        .with_n_estimators(20)
        .with_max_samples(max_samples)
        .with_ndim(ndim)
        .with_random_state(3)
}

fn every_detector(observed: &Array2<f64>, sizes: &[usize]) {
    cuts_change_nothing::<Gaussian>(&GaussianParams::default(), observed, sizes, 1);
    cuts_change_nothing::<ZScore>(&ZScoreParams::default(), observed, sizes, 1);
    cuts_change_nothing::<Pca>(&PcaParams::default(), observed, sizes, 1);
    cuts_change_nothing::<Ecod>(&EcodParams::default(), observed, sizes, 1);
    cuts_change_nothing::<Hbos>(&HbosParams::default(), observed, sizes, 1);
    cuts_change_nothing::<Lesinn>(&LesinnParams::default(), observed, sizes, 1);
    cuts_change_nothing::<Auto>(&AutoParams::default(), observed, sizes, 1);
    cuts_change_nothing::<IsolationForest>(&forest(MaxSamples::Auto, 1), observed, sizes, 1);
    let fraction = forest(MaxSamples::Fraction(0.7), 2.min(observed.ncols()));
    cuts_change_nothing::<IsolationForest>(&fraction, observed, sizes, 1);
}

/// Rows with copies, a constant column, whole numbers and, with this chance, missing values.
fn some_rows(n: usize, d: usize, missing: f64, seed: u64) -> Array2<f64> {
    let mut rows = mixed(n, d, 0.0, seed);
    let chances = mixed(n, d, 0.0, seed ^ 1);
    for ((i, j), x) in rows.indexed_iter_mut() {
        if j == 1 {
            *x = 7.0;
        }
        if chances[(i, j / 3 * 3)] < missing {
            *x = f64::NAN;
        }
    }
    for i in (1..n).step_by(5) {
        let other = rows.row(i / 2).to_owned();
        rows.row_mut(i).assign(&other);
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn models_do_not_depend_on_how_few_rows_are_cut(
        seed: u64,
        n in 1..700usize,
        d in 1..6usize,
        missing in prop_oneof![Just(0.0), Just(0.1), Just(0.9)],
        sizes in vec(1..300usize, 1..5),
    ) {
        every_detector(&some_rows(n, d, missing, seed), &sizes);
    }

    #[test]
    fn models_do_not_depend_on_how_thousands_of_rows_are_cut(
        seed: u64,
        n in 1000..9000usize,
        sizes in vec(prop_oneof![Just(1), 1..5000usize], 1..5),
    ) {
        let rows = some_rows(n, 4, 0.01, seed);
        cuts_change_nothing::<Gaussian>(&GaussianParams::default(), &rows, &sizes, 1);
        cuts_change_nothing::<ZScore>(&ZScoreParams::default(), &rows, &sizes, 1);
        cuts_change_nothing::<Pca>(&PcaParams::default(), &rows, &sizes, 1);
        cuts_change_nothing::<Ecod>(&EcodParams::default(), &rows, &sizes, 1);
    }
}

#[test]
fn models_do_not_depend_on_how_very_many_rows_are_cut_or_on_threads() {
    let n = 2 * long_chunk_rows(2) + 50_000;
    let observed = some_rows(n, 2, 0.01, 5);
    let rows = imputed(&observed);
    fn check<D: Tested>(
        params: &D::Params,
        rows: &Array2<f64>,
        observed: &Array2<f64>,
        passes: usize,
    ) where
        D::Params: Sync,
    {
        let whole: D = held(params, rows, observed).expect("a model");
        for (threads, sizes) in [(1, vec![1, 100_000, 7]), (3, vec![8192])] {
            let source = Cut::new(rows, observed, &sizes);
            let model = on_threads(threads, || streamed::<D>(params, &source));
            assert!(are_same(&model.expect("a model"), &whole), "{}", D::NAME);
            assert_eq!(source.passes(), passes, "{}", D::NAME);
        }
    }
    check::<Gaussian>(&GaussianParams::default(), &rows, &observed, 1);
    check::<ZScore>(&ZScoreParams::default(), &rows, &observed, 1);
    check::<Pca>(&PcaParams::default(), &rows, &observed, 1);
    check::<Ecod>(&EcodParams::default(), &rows, &observed, 1);
    check::<Hbos>(&HbosParams::default(), &rows, &observed, 2);
    let auto_bins = HbosParams::new().with_n_bins(NBins::Auto);
    check::<Hbos>(&auto_bins, &rows, &observed, 2);
    check::<Lesinn>(&LesinnParams::default(), &rows, &observed, 1);
    check::<Auto>(&AutoParams::default(), &rows, &observed, 1);
    check::<IsolationForest>(&forest(MaxSamples::Auto, 1), &rows, &observed, 1);
    check::<IsolationForest>(&forest(MaxSamples::Count(5000), 1), &rows, &observed, 1);
}

#[test]
fn hbos_counts_many_columns_in_several_passes() {
    let rows = correlated(70_000, 9, 0.0, 8);
    let params = HbosParams::new().with_n_bins(NBins::Auto);
    cuts_change_nothing::<Hbos>(&params, &rows, &[30_000], 3);
    cuts_change_nothing::<Hbos>(&HbosParams::default(), &rows, &[30_000], 2);
}

#[test]
fn an_error_names_its_column() {
    let mut gap = correlated(2000, 3, 0.0, 4);
    gap.column_mut(2).fill(f64::NAN);
    let mut huge = correlated(2000, 3, 0.0, 4);
    huge.column_mut(1)
        .iter_mut()
        .step_by(2)
        .for_each(|x| *x = 1e300);
    let about = |error: Error| {
        let source = std::error::Error::source(&error);
        source.and_then(|source| source.downcast_ref::<ColumnError>().cloned())
    };
    let fit = |params: DetectorParams, observed: &Array2<f64>| {
        let rows = imputed(observed);
        let learned = params.fit(&Cut::new(&rows, observed, &[300]), &Context::new());
        about(learned.expect_err("refused"))
    };
    for params in [
        DetectorParams::ZScore(ZScoreParams::default()),
        DetectorParams::Hbos(HbosParams::default()),
        DetectorParams::Ecod(EcodParams::default()),
    ] {
        assert_eq!(fit(params, &gap), Some(ColumnError::no_values(2)));
    }
    for params in [
        DetectorParams::ZScore(ZScoreParams::default()),
        DetectorParams::Gaussian(GaussianParams::default()),
        DetectorParams::Pca(PcaParams::default()),
    ] {
        assert_eq!(fit(params, &huge), Some(ColumnError::not_finite(1)));
    }
}

fn all() -> impl Iterator<Item = DetectorParams> {
    DetectorParams::defaults().into_iter()
}

#[test]
fn eight_detectors_stream_and_the_others_refuse() {
    let rows = correlated(3000, 3, 0.0, 4);
    let source = Cut::new(&rows, &rows, &[100]);
    let names: Vec<&str> = all()
        .filter(DetectorParams::can_stream)
        .map(|params| params.name())
        .collect();
    let expected = [
        "auto",
        "ecod",
        "gaussian",
        "hbos",
        "isolation_forest",
        "lesinn",
        "pca",
        "z_score",
    ];
    assert_eq!(names, expected);
    for params in all() {
        match params.fit(&source, &Context::new()) {
            Ok(learned) => assert_eq!(learned.detector.name(), params.name()),
            Err(error) => {
                assert!(!params.can_stream(), "{error}");
                assert_eq!(error.reason(), reason::UNUSABLE_ROWS);
                assert!(error.message().contains("sample_rows"), "{error}");
            }
        }
    }
}

#[test]
fn rows_that_change_between_passes_are_refused() {
    let rows = correlated(3000, 3, 0.0, 4);
    for n_rows in [2999, 3001, 20_000] {
        let source = Cut {
            n_rows,
            ..Cut::new(&rows, &rows, &[100])
        };
        for params in all().filter(DetectorParams::can_stream) {
            let error = params.fit(&source, &Context::new());
            let error = error.expect_err("changed rows");
            assert_eq!(error.reason(), reason::UNUSABLE_ROWS, "{}", params.name());
            assert!(error.message().contains("changed"), "{error}");
        }
    }
}

/// A source that is cancelled during a pass but does not check its context itself.
struct Cancelled<'a>(Cut<'a>, Context);

impl RowSource for Cancelled<'_> {
    fn n_rows(&self) -> usize {
        self.0.n_rows()
    }

    fn n_features(&self) -> usize {
        self.0.n_features()
    }

    fn visit(&self, _: &Context, each: &mut EachChunk<'_>) -> Result<()> {
        let mut chunks = 0;
        self.0.visit(&Context::new(), &mut |chunk| {
            chunks += 1;
            if chunks == 5 {
                self.1.cancel();
            }
            assert!(chunks <= 5, "a chunk after the cancellation");
            each(chunk)
        })
    }
}

#[test]
fn a_cancelled_fit_stops() {
    let rows = correlated(3000, 3, 0.0, 4);
    for params in all().filter(DetectorParams::can_stream) {
        let context = Context::new();
        let source = Cancelled(Cut::new(&rows, &rows, &[100]), context.clone());
        let error = params.fit(&source, &context);
        let error = error.expect_err("cancelled");
        assert_eq!(error.reason(), reason::CANCELLED, "{}", params.name());
    }
}

/// A source with too many rows to read any.
struct Endless;

impl RowSource for Endless {
    fn n_rows(&self) -> usize {
        100_000_000
    }

    fn n_features(&self) -> usize {
        10
    }

    fn visit(&self, _: &Context, _: &mut EachChunk<'_>) -> Result<()> {
        panic!("a pass over rows that cannot be held")
    }
}

#[test]
fn more_rows_than_can_be_held_are_not_drawn() {
    let lesinn = LesinnParams::new()
        .with_max_samples(60_000)
        .with_n_estimators(64)
        .with_n_neighbors(1);
    for params in [
        DetectorParams::IsolationForest(forest(MaxSamples::Fraction(0.5), 1)),
        DetectorParams::IsolationForest(forest(MaxSamples::Count(500_000), 1)),
        DetectorParams::Lesinn(lesinn),
    ] {
        let error = params.fit(&Endless, &Context::new());
        let error = error.expect_err("too many");
        assert!(error.message().contains("max_samples"), "{error}");
    }
}
