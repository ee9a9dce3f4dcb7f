use linfa::ParamGuard;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::detector::HbosParams;

fn with_counts<T>(values: &[f64], ask: impl Fn(&Counts<'_>) -> T) -> T {
    let below = |x: f64| values.iter().filter(|value| **value < x).count() as f64;
    let smallest = values.iter().copied().fold(f64::MAX, f64::min);
    let largest = values.iter().copied().fold(f64::MIN, f64::max);
    ask(&Counts {
        range: (smallest, largest),
        n: values.len() as f64,
        below: &below,
    })
}

fn histogram(values: &[f64], n_bins: NBins) -> Histogram {
    let params = HbosParams::new()
        .with_n_bins(n_bins)
        .check()
        .expect("valid");
    with_counts(values, |counts| {
        Histogram::new(counts, &params, &Context::new()).expect("a histogram")
    })
}

fn counted(values: &[f64], n_bins: usize) -> Vec<f64> {
    with_counts(values, |values| {
        let edges = distinct_edges(values.range, n_bins);
        counts(values, &edges).collect()
    })
}

#[test]
fn counts_are_those_of_numpy() {
    // numpy.histogram
    let values = [0.0, 1.0, 1.0, 2.0, 2.5, 4.0, 7.0, 8.0];
    assert_eq!(counted(&values, 4), [3.0, 2.0, 1.0, 2.0]);
    assert_eq!(counted(&values, 2), [5.0, 3.0]);
    assert_eq!(counted(&values, 1), [8.0]);
}

#[test]
fn a_constant_counts_in_the_bin_that_it_is_looked_up_in() {
    for n_bins in [2, 3, 10] {
        let Histogram { edges, scores } = histogram(&[7.0; 5], NBins::Count(n_bins));
        assert_eq!((edges[0], edges[n_bins as usize]), (6.5, 7.5));
        let bin = edges.partition_point(|&edge| edge < 7.0) - 1;
        for (i, &score) in scores.iter().enumerate() {
            assert_eq!(score < 0.0, i == bin, "{scores:?}");
        }
    }
}

#[test]
fn too_many_bins_for_the_doubles_in_a_range_become_fewer() {
    for values in [
        [1e16, 1e16 + 2.0],
        [0.0, 5e-324],
        [1e300, 1e300],
        [f64::MAX, f64::MAX],
        [-f64::MAX, f64::MAX],
        [f64::MAX * 0.999_999, f64::MAX],
        [0.0, f64::MAX],
    ] {
        for n_bins in [2, 10, 4096] {
            let Histogram { edges, scores } = histogram(&values, NBins::Count(n_bins));
            assert!(edges.is_sorted_by(|a, b| a < b), "{edges:?}");
            assert!(edges.len() >= 2 && edges.len() == scores.len());
            assert!(edges.iter().all(|x| x.is_finite()));
            assert!(scores.iter().all(|x| x.abs() < 1100.0), "{scores:?}");
        }
    }
}

#[test]
fn the_number_of_bins_is_chosen_as_by_pyod() {
    let values: Vec<f64> = (-5..60).map(|x| f64::from(x * x) / 10.0).collect();
    assert_eq!(histogram(&values, NBins::Auto).edges.len(), 3);
    assert_eq!(histogram(&[1.0, 2.0], NBins::Auto).edges.len(), 2);
    assert_eq!(histogram(&[1.0; 500], NBins::Auto).edges.len(), 12);
    assert_eq!(
        histogram(&[f64::MAX, f64::MIN, 0.0, 1.0], NBins::Auto)
            .edges
            .len(),
        2
    );
}

#[test]
fn choosing_a_number_of_bins_stops_when_cancelled() {
    let context = Context::new();
    context.cancel();
    assert!(with_counts(&[1.0, 2.0], |counts| auto_bins(counts, &context)).is_err());
}

proptest! {
    #[test]
    fn every_value_is_counted_once(values in vec(-50..50i32, 2..80), n_bins in 2..30usize) {
        let values: Vec<f64> = values.into_iter().map(|x| f64::from(x) / 7.0).collect();
        let edges = with_counts(&values, |values| distinct_edges(values.range, n_bins));
        prop_assert_eq!(edges.len(), n_bins + 1);
        for (i, count) in counted(&values, n_bins).into_iter().enumerate() {
            let is_in = |x: &&f64| edges[i] <= **x && (**x < edges[i + 1] || i + 1 == n_bins);
            prop_assert_eq!(count, values.iter().filter(is_in).count() as f64);
        }
    }
}
