use ndarray::{Array1, Array2, Axis, array};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::context::Context;
use crate::statistics::uniform::uniform;
use crate::statistics::{ColumnError, name_column};

fn learn(rows: &Array2<f64>) -> Moments {
    Moments::of(rows.view(), &Context::new()).expect("moments")
}

fn features(rows: &Array2<f64>) -> FeatureMoments {
    FeatureMoments::of(rows.view()).expect("moments")
}

fn relatively_close(a: f64, b: f64, scale: f64) -> bool {
    (a - b).abs() <= 1e-9 * scale
}

/// The error of a covariance is taken relative to the deviations of its features, since cancellation may leave it small.
fn assert_same(a: &Moments, b: &Moments) -> Result<(), TestCaseError> {
    prop_assert_eq!(a.n(), b.n());
    for i in 0..a.n_features() {
        prop_assert!(relatively_close(
            a.mean()[i],
            b.mean()[i],
            b.mean()[i].abs()
        ));
        for j in 0..=i {
            let scale = (b.comoment(i, i) * b.comoment(j, j)).sqrt();
            let (x, y) = (a.comoment(i, j), b.comoment(i, j));
            prop_assert!(relatively_close(x, y, scale), "{x} {y} of {i} {j}");
        }
    }
    Ok(())
}

fn assert_same_features(a: &FeatureMoments, b: &FeatureMoments) -> Result<(), TestCaseError> {
    prop_assert_eq!((a.n(), a.min(), a.max()), (b.n(), b.min(), b.max()));
    for i in 0..a.n_features() {
        prop_assert!(relatively_close(
            a.mean()[i],
            b.mean()[i],
            b.mean()[i].abs()
        ));
        let (x, y) = (a.std()[i], b.std()[i]);
        prop_assert!(relatively_close(x, y, y), "{x} {y}");
    }
    Ok(())
}

/// More rows than a chunk holds, some cells missing, at a large offset.
fn tables() -> impl Strategy<Value = Array2<f64>> {
    let offset = prop_oneof![Just(0.0), Just(1e9), Just(-1e6)];
    (2..3000usize, 1..5usize, offset, any::<u64>()).prop_map(|(n, d, offset, seed)| {
        let mut uniform = uniform(seed);
        Array2::from_shape_fn((n, d), |(i, j)| {
            let x = offset + uniform() * (j + 1) as f64;
            if i >= 2 && uniform() < 0.05 {
                f64::NAN
            } else {
                x
            }
        })
    })
}

#[test]
fn small_cases_are_exact() {
    let rows = array![[1.0, 2.0], [3.0, f64::NAN], [2.0, 4.0], [f64::NAN, 9.0]];
    let moments = features(&rows);
    assert_eq!(moments.n(), [3, 3]);
    assert_eq!(moments.mean(), [2.0, 5.0]);
    assert_eq!(moments.std(), [1.0, 13f64.sqrt()]);
    assert_eq!(moments.population_std()[0], (2f64 / 3.0).sqrt());
    assert_eq!(
        (moments.min(), moments.max()),
        (&[1.0, 2.0][..], &[3.0, 9.0][..])
    );

    let moments = learn(&rows);
    assert_eq!((moments.n(), moments.mean()), (2, &[1.5, 3.0][..]));
    assert_eq!(moments.covariance(), array![[0.5, 1.0], [1.0, 2.0]]);
}

#[test]
fn constant_columns_stay_constant() {
    let rows = Array2::from_shape_fn((5000, 2), |(i, j)| if j == 0 { 0.1 } else { i as f64 });
    let mut both = features(&rows);
    both.merge(&features(&rows)).expect("moments");
    assert_eq!((both.std()[0], both.mean()[0]), (0.0, 0.1));
    let mut both = learn(&rows);
    both.merge(&learn(&rows)).expect("moments");
    assert_eq!(both.mean()[0], 0.1);
    assert_eq!([both.comoment(0, 0), both.comoment(1, 0)], [0.0, 0.0]);
}

#[test]
fn an_offset_costs_no_digits() {
    // 1e9 and 1e9 + 1, half each: the variance is n / (n - 1) / 4 at any offset
    let rows = Array2::from_shape_fn((100_000, 1), |(i, _)| 1e9 + (i % 2) as f64);
    let expected = (0.25f64 * 100_000.0 / 99_999.0).sqrt();
    assert!((features(&rows).std()[0] / expected - 1.0).abs() < 1e-12);
    let variance = learn(&rows).covariance()[(0, 0)];
    assert!((variance / (expected * expected) - 1.0).abs() < 1e-12);
}

#[test]
fn far_from_0_variances_keep_their_digits_in_chunks_too() {
    for offset in [1e8, 1e9] {
        // multiples of 1/1024, so that their exact variance is one of integers
        let mut uniform = uniform(9);
        let steps: Vec<i64> = (0..5000).map(|_| (uniform() * 2048.0) as i64).collect();
        let (n, sum) = (steps.len() as i64, steps.iter().sum::<i64>());
        let squares: i64 = steps.iter().map(|step| step * step).sum();
        let exact = (n * squares - sum * sum) as f64 / (n * (n - 1)) as f64 / 1024.0 / 1024.0;
        let rows =
            Array2::from_shape_fn((steps.len(), 1), |(i, _)| offset + steps[i] as f64 / 1024.0);
        let context = Context::new();
        let mut features = FeatureMomentsStream::new(1);
        let mut joint = MomentsStream::new(1);
        for chunk in rows.axis_chunks_iter(Axis(0), 7) {
            features.push(chunk, &context).expect("moments");
            joint.push(chunk, &context).expect("moments");
        }
        let features = features.finish(&context).expect("moments");
        let joint = joint.finish(&context).expect("moments");
        for variance in [features.std()[0].powi(2), joint.covariance()[(0, 0)]] {
            assert!((variance / exact - 1.0).abs() < 1e-6, "{variance} {exact}");
        }
    }
}

#[test]
fn an_overflow_names_its_column() {
    let rows = array![[1.0, 1e300], [2.0, -1e300]];
    let expected = ColumnError::not_finite(1);
    assert_eq!(FeatureMoments::of(rows.view()), Err(expected));
    let error = Moments::of(rows.view(), &Context::new()).expect_err("overflow");
    let error = name_column(error, &["a".into(), "amount".into()]);
    assert_eq!(error.reason(), reason::UNUSABLE_ROWS);
    assert!(error.message().contains("\"amount\""), "{error}");
    // each part is finite on its own, their union is not
    let mut low = learn(&array![[1e300], [1e300]]);
    assert!(low.merge(&learn(&array![[-1e300], [-1e300]])).is_err());
}

#[test]
fn empty_and_missing_rows_leave_the_moments_empty() {
    let empty = Array2::zeros((0, 3));
    assert_eq!(features(&empty), FeatureMoments::new(3));
    assert_eq!(learn(&empty), Moments::new(3));
    assert_eq!(learn(&Array2::from_elem((5, 2), f64::NAN)), Moments::new(2));
    assert_eq!(FeatureMoments::new(2).std(), [0.0, 0.0]);
    assert_eq!(learn(&Array2::zeros((4, 0))).n_features(), 0);
}

#[test]
fn damaged_moments_are_refused() {
    let good = learn(&array![[1.0, 2.0], [2.0, 5.0]]);
    good.validate().expect("valid");
    let damages: [fn(&mut Moments); 5] = [
        |m| m.comoment.truncate(2),
        |m| m.mean_low.clear(),
        |m| m.mean[0] = f64::NAN,
        |m| m.comoment[0] = -1.0,
        |m| m.n = u64::MAX,
    ];
    for damage in damages {
        let mut bad = good.clone();
        damage(&mut bad);
        assert!(bad.validate().is_err(), "{bad:?}");
    }
    let good = features(&array![[1.0, 2.0], [2.0, 5.0]]);
    good.validate().expect("valid");
    FeatureMoments::new(2).validate().expect("valid");
    let damages: [fn(&mut FeatureMoments); 4] = [
        |m| m.n.truncate(1),
        |m| m.max[1] = f64::INFINITY,
        |m| m.m2[0] = -1.0,
        |m| m.min[0] = 1e9,
    ];
    for damage in damages {
        let mut bad = good.clone();
        damage(&mut bad);
        assert!(bad.validate().is_err(), "{bad:?}");
    }
}

#[test]
fn a_cancelled_context_stops_the_work() {
    let context = Context::new();
    context.cancel();
    let error = Moments::of(Array2::zeros((4, 2)).view(), &context).expect_err("cancelled");
    assert_eq!(error.reason(), reason::CANCELLED);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn merged_parts_equal_the_whole(rows in tables(), cut in 0.0..=1.0f64) {
        let (a, b) = rows.view().split_at(Axis(0), (cut * rows.nrows() as f64) as usize);
        let mut merged = Moments::of(a, &Context::new()).expect("moments");
        merged.merge(&Moments::of(b, &Context::new()).expect("moments")).expect("moments");
        assert_same(&merged, &learn(&rows))?;
        let mut merged = FeatureMoments::of(a).expect("moments");
        merged.merge(&FeatureMoments::of(b).expect("moments")).expect("moments");
        assert_same_features(&merged, &features(&rows))?;
    }

    #[test]
    fn rows_in_chunks_give_bit_for_bit_the_same(
        rows in tables(),
        cuts in vec(0.0..=1.0f64, 0..6),
    ) {
        let n = rows.nrows();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| (cut * n as f64) as usize).collect();
        cuts.extend([0, n]);
        cuts.sort_unstable();
        let context = Context::new();
        let d = rows.ncols();
        let (mut joint, mut each) = (MomentsStream::new(d), FeatureMomentsStream::new(d));
        for cut in cuts.windows(2) {
            let chunk = rows.slice(ndarray::s![cut[0]..cut[1], ..]);
            joint.push(chunk, &context).expect("moments");
            each.push(chunk, &context).expect("moments");
        }
        prop_assert_eq!(joint.finish(&context).expect("moments"), learn(&rows));
        prop_assert_eq!(each.finish(&context).expect("moments"), features(&rows));
    }

    #[test]
    fn order_and_layout_do_not_matter(rows in tables()) {
        let mut reversed = rows.view();
        reversed.invert_axis(Axis(0));
        assert_same(&Moments::of(reversed, &Context::new()).expect("moments"), &learn(&rows))?;
        assert_same_features(&FeatureMoments::of(reversed).expect("moments"), &features(&rows))?;
        let columns = rows.t().as_standard_layout().to_owned();
        prop_assert_eq!(FeatureMoments::of(columns.t()).expect("moments"), features(&rows));
    }

    #[test]
    fn agrees_with_the_textbook(rows in vec([-10.0..10.0f64, -10.0..10.0f64], 2..50)) {
        let rows = Array2::from(rows);
        let mean: Array1<f64> = rows.mean_axis(Axis(0)).expect("rows");
        let centred = &rows - &mean;
        let expected = centred.t().dot(&centred) / (rows.nrows() - 1) as f64;
        let found = learn(&rows).covariance();
        prop_assert!((&found - &expected).iter().all(|x| x.abs() < 1e-9));
        for (i, std) in features(&rows).std().into_iter().enumerate() {
            prop_assert!((std - expected[(i, i)].sqrt()).abs() < 1e-9);
        }
    }
}
