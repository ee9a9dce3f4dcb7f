use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::error::reason;

fn moment(values: &[f64]) -> ThirdMoment {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    ThirdMoment::of_sorted(&sorted)
}

fn assert_near(found: f64, expected: f64) {
    let near = 1e-10 * expected.abs().max(1.0);
    assert!((found - expected).abs() <= near, "{found} {expected}");
}

#[test]
fn agrees_with_scipy() {
    // scipy.stats.skew
    assert_near(
        moment(&[1.0, 2.0, 3.0, 4.0, 10.0]).skewness(),
        1.1384199576606166,
    );
    assert_near(
        moment(&[2.0, 8.0, 0.0, 4.0, 1.0, 9.0, 9.0, 0.0]).skewness(),
        0.2650554122698573,
    );
    assert_near(
        moment(&[1.0, 2.0, 3.0, 4.0, -10.0]).skewness(),
        -1.3577270894181972,
    );
}

#[test]
fn an_offset_or_a_scale_changes_nothing() {
    let values = [1.0, 2.0, 3.0, 4.0, 10.0];
    let expected = moment(&values).skewness();
    for scale in [5e-324 * 2.0, 1e-300, 1e-9, 1.0, 1e100, 1.7e307] {
        let scaled = values.map(|x| x * scale);
        assert_near(moment(&scaled).skewness(), expected);
    }
    for offset in [1e6, 1e9, -1e15] {
        let moved = values.map(|x| x + offset);
        assert_near(moment(&moved).skewness(), expected);
        let merged = moment(&moved[..2]).merge(moment(&moved[2..]));
        assert_near(merged.skewness(), expected);
    }
}

#[test]
fn equal_values_and_mirrored_ones_are_symmetric() {
    for value in [0.0, 0.1, 1e9, -1e300, f64::MAX, 5e-324] {
        let moment = moment(&[value; 7]);
        assert_eq!(moment.skewness(), 0.0);
        assert!(moment.is_symmetric() && moment.merge(moment).is_symmetric());
    }
    assert!(moment(&[0.1, 0.2, 0.3]).is_symmetric());
    assert!(moment(&[-f64::MAX, 0.0, f64::MAX]).is_symmetric());
    assert!(!moment(&[0.0, 0.0, 1.0]).is_symmetric());
    assert!(!moment(&[-f64::MAX, -f64::MAX, f64::MAX]).is_symmetric());
    assert!(!moment(&[0.0, 0.0, 5e-324]).is_symmetric());
}

#[test]
fn the_widest_values_merge() {
    let whole = moment(&[-f64::MAX, -f64::MAX, -f64::MAX, f64::MAX]);
    let low = moment(&[-f64::MAX; 3]);
    let high = moment(&[f64::MAX]);
    assert_near(whole.skewness(), 1.1547005383792515);
    assert_near(low.merge(high).skewness(), whole.skewness());
    assert_near(high.merge(low).skewness(), whole.skewness());
    let tiny = moment(&[0.0, 5e-324]);
    assert!(tiny.merge(high).skewness().is_finite());
}

#[test]
fn damaged_moments_are_refused() {
    let mut good = ThirdMoments::default();
    good.push(moment(&[1.0, 2.0, 5.0]));
    good.push(moment(&[]));
    good.validate().expect("valid");
    assert_eq!(good.feature(0), moment(&[1.0, 2.0, 5.0]));
    let damages: [fn(&mut ThirdMoments); 10] = [
        |m| m.n.truncate(1),
        |m| m.mean[0] = f64::NAN,
        |m| m.scale[0] = 3.0,
        |m| m.scale[0] = 0.0,
        |m| m.scale[0] = -1.0,
        |m| m.m2[0] = -1.0,
        |m| m.m3[0] = f64::INFINITY,
        |m| m.n[0] = (1 << 53) + 1,
        |m| m.n[0] = 0,
        |m| m.m3[1] = 1.0,
    ];
    for damage in damages {
        let mut bad = good.clone();
        damage(&mut bad);
        let error = bad.validate().expect_err("damaged");
        assert_eq!(error.reason(), reason::DAMAGED_ARTIFACT);
    }
}

proptest! {
    #[test]
    fn merged_moments_are_those_of_the_union(
        a in vec(-10.0..10.0f64, 0..40),
        b in vec(5.0..1000.0f64, 1..40),
        offset in prop_oneof![Just(0.0), Just(1e9), Just(-1e12)],
    ) {
        let moved = |values: &[f64]| -> Vec<f64> { values.iter().map(|x| x + offset).collect() };
        let (a, b) = (moved(&a), moved(&b));
        let merged = moment(&a).merge(moment(&b));
        let whole = moment(&[a, b].concat());
        prop_assert!((merged.skewness() - whole.skewness()).abs() <= 1e-8, "{merged:?} {whole:?}");
        prop_assert_eq!(merged.n, whole.n);
        let mean = (merged.mean - whole.mean) + (merged.mean_low - whole.mean_low);
        prop_assert!(mean.abs() <= 1e-10);
    }
}
