use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// The definition, on sorted values.
fn by_sorting(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let position = (values.len() - 1) as f64 * q;
    let (low, high) = (position.floor() as usize, position.ceil() as usize);
    let fraction = position - low as f64;
    sorted[low] * (1.0 - fraction) + sorted[high] * fraction
}

/// The average of the values over the window: the difference of the integrals of the values up to its ends, over its width.
fn weighted_by_integrals(pairs: &[(f64, f64)], q: f64) -> f64 {
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let total: f64 = sorted.iter().map(|pair| pair.1).sum();
    let squares: f64 = sorted.iter().map(|pair| pair.1 * pair.1).sum();
    let effective = total * total / squares;
    let start = (effective - 1.0) * q / effective;
    let integral = |share: f64| {
        let (mut left, mut sum) = (share, 0.0);
        for (value, weight) in &sorted {
            let taken = (weight / total).min(left);
            sum += value * taken;
            left -= taken;
        }
        sum
    };
    (integral(start + 1.0 / effective) - integral(start)) * effective
}

#[test]
fn agrees_with_numpy() {
    // numpy.quantile([3, 1, 4, 1, 5, 9, 2, 6], q)
    let values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0];
    for (q, expected) in [
        (0.0, 1.0),
        (0.1, 1.0),
        (0.25, 1.75),
        (0.5, 3.5),
        (0.9, 6.9),
        (1.0, 9.0),
    ] {
        let found = quantile(&mut values.to_vec(), q).expect("a quantile");
        assert!((found - expected).abs() < 1e-12, "{q}: {found}");
    }
    assert_eq!(quantile(&mut [7.0], 0.5), Some(7.0));
    assert_eq!(quantile(&mut [], 0.5), None);
}

#[test]
fn extreme_values_do_not_overflow() {
    assert_eq!(quantile(&mut [f64::MAX, f64::MIN], 0.5), Some(0.0));
    assert_eq!(
        weighted_quantile(&[f64::MAX, f64::MIN], &[f64::MAX; 2], 0.5),
        Some(0.0)
    );
    let found = weighted_quantile(&[1.0, 2.0], &[f64::MAX, f64::MIN_POSITIVE], 1.0);
    assert_eq!(found, Some(1.0));
}

#[test]
fn unusable_weights_have_no_quantile() {
    let values = [1.0, 2.0];
    for weights in [
        [0.0, 0.0],
        [1.0, -1.0],
        [1.0, f64::NAN],
        [1.0, f64::INFINITY],
    ] {
        assert_eq!(
            weighted_quantile(&values, &weights, 0.5),
            None,
            "{weights:?}"
        );
    }
    assert_eq!(weighted_quantile(&values, &[1.0], 0.5), None);
}

proptest! {
    #[test]
    fn agrees_with_sorting(values in vec(-1e3..1e3f64, 1..200), q in 0.0..=1.0f64) {
        let expected = by_sorting(&values, q);
        let found = quantile(&mut values.clone(), q).expect("a quantile");
        prop_assert!((found - expected).abs() <= 1e-9, "{found} {expected}");
    }

    #[test]
    fn equal_weights_are_no_weights(
        values in vec(-1e3..1e3f64, 1..100),
        weight in 1e-6..1e6f64,
        q in 0.0..=1.0f64,
    ) {
        let expected = quantile(&mut values.clone(), q);
        let weights = vec![weight; values.len()];
        prop_assert_eq!(weighted_quantile(&values, &weights, q), expected);
        // nearly equal ones take the weighted path and agree with it
        let mut nearly = weights;
        nearly[0] *= 1.0 + 1e-13;
        let found = weighted_quantile(&values, &nearly, q).expect("a quantile");
        prop_assert!((found - expected.expect("a quantile")).abs() < 1e-6, "{found}");
    }

    #[test]
    fn agrees_with_the_definition(
        pairs in vec((-1e3..1e3f64, 0.01..10.0f64), 1..30),
        q in 0.0..=1.0f64,
    ) {
        let (values, weights): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        let found = weighted_quantile(&values, &weights, q).expect("a quantile");
        let expected = weighted_by_integrals(&pairs, q);
        prop_assert!((found - expected).abs() < 1e-9, "{found} {expected}");
    }

    #[test]
    fn order_and_values_of_weight_0_do_not_matter(
        pairs in vec((-1e3..1e3f64, 0.01..10.0f64), 1..30),
        q in 0.0..=1.0f64,
    ) {
        let (values, weights): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        let found = weighted_quantile(&values, &weights, q);
        let (mut values, mut weights): (Vec<f64>, Vec<f64>) = pairs.iter().rev().copied().unzip();
        values.push(1e9);
        weights.push(0.0);
        prop_assert_eq!(weighted_quantile(&values, &weights, q), found);
    }
}
