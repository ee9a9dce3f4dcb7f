//! The promises that every detector makes about its scores and its model.

use anomaly_detection::context::Context;
use anomaly_detection::detector::{DetectorParams, FittedDetector};
use anomaly_detection::envelope::Envelope;
use ndarray::{Array2, ArrayView2, Axis};
use proptest::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::any::{SEEDED, all, normal_rows, try_fit};
use crate::fixtures::{fit, scores};

/// Values as they occur in tables: some continuous, some with few distinct values.
fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -10.0..10.0,
        2 => (-3..=3_i32).prop_map(f64::from),
        1 => -1e6..1e6,
    ]
}

/// Rows to learn from, sometimes with a repeated row or a constant column, and more rows to score.
fn tables() -> impl Strategy<Value = (Array2<f64>, Array2<f64>)> {
    (8..40_usize, 1..5_usize)
        .prop_flat_map(|(n, d)| {
            let values = prop::collection::vec(value(), (n + 20) * d);
            (Just((n, d)), values, 0..n, any::<bool>(), any::<bool>())
        })
        .prop_map(|((n, d), values, copied, repeats, constant)| {
            let mut rows = Array2::from_shape_vec((n + 20, d), values).expect("n x d values");
            if repeats {
                let row = rows.row(copied).to_owned();
                rows.slice_mut(ndarray::s![..n / 3, ..]).assign(&row);
            }
            // nothing can be learned from a single constant column
            if constant && d > 1 {
                rows.column_mut(0).fill(2.5);
            }
            let new_rows = rows.split_off_rows(n);
            (rows, new_rows)
        })
}

trait SplitRows {
    fn split_off_rows(&mut self, n: usize) -> Array2<f64>;
}

impl SplitRows for Array2<f64> {
    fn split_off_rows(&mut self, n: usize) -> Array2<f64> {
        let rest = self.slice(ndarray::s![n.., ..]).to_owned();
        *self = self.slice(ndarray::s![..n, ..]).to_owned();
        rest
    }
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

const DETECTOR: Envelope = Envelope {
    what: "detector",
    magic: *b"DETECTOR",
    format: 1,
};

/// A detector as it is stored in a model.
pub(crate) fn encoded(detector: &FittedDetector) -> Vec<u8> {
    DETECTOR.encode_bare(detector).expect("encodes")
}

/// A stored detector.
pub(crate) fn decoded(bytes: &[u8]) -> FittedDetector {
    DETECTOR.decode_bare(bytes).expect("decodes")
}

fn pools() -> [ThreadPool; 2] {
    [1, 3].map(|threads| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("threads")
    })
}

/// The rows from the last to the first.
fn reversed(rows: ArrayView2<'_, f64>) -> Array2<f64> {
    let mut rows = rows.to_owned();
    rows.invert_axis(Axis(0));
    rows.as_standard_layout().into_owned()
}

/// The rows from the last to the first, and their labels as [`try_fit`] gives them to the rows in order.
fn permuted(rows: &Array2<f64>) -> (Array2<f64>, Vec<bool>) {
    let labels = (0..rows.nrows()).rev().map(|row| row % 3 == 0);
    (reversed(rows.view()), labels.collect())
}

fn check_scores(name: &str, detector: &FittedDetector, rows: &Array2<f64>) {
    let together = bits(&scores(detector, rows.view()));
    let mut backwards = bits(&scores(detector, reversed(rows.view()).view()));
    backwards.reverse();
    assert_eq!(together, backwards, "{name}: a permutation of the rows");
    for size in [1, 7] {
        let chunks = rows.axis_chunks_iter(Axis(0), size);
        let apart: Vec<u64> = chunks
            .flat_map(|chunk| bits(&scores(detector, chunk)))
            .collect();
        assert_eq!(together, apart, "{name}: {size} rows at a time");
    }
}

fn check_round_trip(name: &str, detector: &FittedDetector, rows: &Array2<f64>) {
    let bytes = encoded(detector);
    let loaded = decoded(&bytes);
    loaded
        .validate()
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(&loaded, detector, "{name}: save and load");
    assert_eq!(encoded(&loaded), bytes, "{name}: save and load");
    let [before, after] = [detector, &loaded].map(|detector| bits(&scores(detector, rows.view())));
    assert_eq!(before, after, "{name}: save and load");
}

fn check_permuted_training(
    name: &str,
    params: &DetectorParams,
    rows: &Array2<f64>,
    probes: &Array2<f64>,
) {
    let expected = try_fit(params, rows, &Context::new())
        .expect("fits")
        .detector;
    let expected = scores(&expected, probes.view());
    let (rows, labels) = permuted(rows);
    let ours = scores(&fit(params, &rows, &labels).detector, probes.view());
    // if scores have both signs, one near 0 is a difference of larger numbers
    let is_signed = ["one_class_svm", "hbos"].contains(&params.name());
    let largest = match is_signed {
        true => expected.iter().fold(0.0_f64, |a, score| a.max(score.abs())),
        false => 0.0,
    };
    for (ours, expected) in ours.iter().zip(&expected) {
        let difference = (ours - expected).abs();
        assert!(
            difference <= 1e-9 * largest.max(expected.abs()),
            "{name}: a permutation of the training rows makes {expected} {ours}"
        );
    }
}

fn check_threads(name: &str, params: &DetectorParams, rows: &Array2<f64>, pools: &[ThreadPool; 2]) {
    let [one, three] = pools.each_ref().map(|pool| {
        let learned = pool.install(|| try_fit(params, rows, &Context::new()));
        let learned = learned.unwrap_or_else(|error| panic!("{name}: {error}"));
        (
            encoded(&learned.detector),
            learned.calibration_scores.as_deref().map(bits),
        )
    });
    assert!(
        one == three,
        "{name}: the same data and seed, another number of threads"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_detector_keeps_its_promises((rows, new_rows) in tables()) {
        let pools = pools();
        for params in all(rows.ncols()) {
            let name = format!("{params:?}");
            let learned = match try_fit(&params, &rows, &Context::new()) {
                Ok(learned) => learned,
                Err(error) => panic!("{name}: {error}"),
            };
            if let Some(calibration) = &learned.calibration_scores {
                assert_eq!(calibration.len(), rows.nrows(), "{name}");
            }
            let probes = ndarray::concatenate![Axis(0), rows, new_rows];
            assert!(scores(&learned.detector, probes.view()).iter().all(|score| score.is_finite()), "{name}");
            check_scores(&name, &learned.detector, &probes);
            check_round_trip(&name, &learned.detector, &probes);
            check_threads(&name, &params, &rows, &pools);
            if !SEEDED.contains(&params.name()) {
                check_permuted_training(&name, &params, &rows, &probes);
            }
        }
    }
}

/// Uses so many rows that parallel work is divided.
#[test]
fn threads_change_nothing_where_there_is_work_for_them() {
    let rows = normal_rows(2500, 4, 3);
    let pools = pools();
    for params in all(rows.ncols()) {
        check_threads(&format!("{params:?}"), &params, &rows, &pools);
    }
}

#[test]
fn seeds_make_models() {
    let rows = normal_rows(300, 4, 4);
    for params in all(rows.ncols()) {
        let models = [0, 0, 1].map(|seed| {
            let params = match params.name() {
                name if SEEDED.contains(&name) => crate::fixtures::with_seed(&params, seed),
                _ => params.clone(),
            };
            let learned = try_fit(&params, &rows, &Context::new()).expect("fits");
            scores(&learned.detector, rows.view())
        });
        assert_eq!(bits(&models[0]), bits(&models[1]), "{params:?}");
        let differs = bits(&models[0]) != bits(&models[2]);
        assert_eq!(differs, SEEDED.contains(&params.name()), "{params:?}");
    }
}
