use ndarray::Array2;
use proptest::collection::vec;
use proptest::prelude::*;

use super::columns::for_each_sorted_column;
use super::*;
use crate::context::Context;
use crate::statistics::ColumnError;
use crate::statistics::uniform::uniform;

/// The most values that a compression leaves.
const COMPRESSED: usize = MAX_EXACT / 2;

fn uniforms(n: usize, seed: u64) -> Vec<f64> {
    std::iter::repeat_with(uniform(seed)).take(n).collect()
}

fn summary(values: &[f64]) -> RankSummary {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    RankSummary::of_sorted(&sorted)
}

/// How many values lie at or below `x`.
fn at_most(summary: &RankSummary, x: f64) -> f64 {
    summary.leading(summary.values().partition_point(|&value| value <= x))
}

/// How many values lie at or above `x`.
fn at_least(summary: &RankSummary, x: f64) -> f64 {
    summary.n() as f64 - summary.below(x)
}

/// Checks every count that the summary gives against the values, sorted.
fn assert_counts(summary: &RankSummary, sorted: &[f64]) {
    summary.validate().expect("valid");
    let n = sorted.len() as f64;
    let error = summary.error();
    let close = |found: f64, exact: f64| {
        let bound = error * exact.min(n - exact);
        assert!(
            (found - exact).abs() <= bound * (1.0 + 1e-12),
            "{found} for {exact} of {n}, error {error}"
        );
    };
    let between = sorted.windows(2).map(|pair| 0.5 * (pair[0] + pair[1]));
    for x in between.chain(sorted.iter().copied()) {
        let n_at_most = sorted.partition_point(|&value| value <= x) as f64;
        let below = sorted.partition_point(|&value| value < x) as f64;
        close(at_most(summary, x), n_at_most);
        close(summary.below(x), below);
        close(at_least(summary, x), n - below);
    }
    assert_eq!(summary.n() as f64, n);
    assert_eq!(summary.range(), Some((sorted[0], sorted[sorted.len() - 1])));
}

#[test]
fn a_summary_of_few_distinct_values_is_exact() {
    let values: Vec<f64> = uniforms(100_000, 1)
        .iter()
        .map(|x| (x * MAX_EXACT as f64).floor())
        .collect();
    let summary = summary(&values);
    assert_eq!(summary.values().len(), MAX_EXACT);
    assert_eq!(summary.error(), 0.0);
    let exact = values.iter().filter(|x| **x <= 4000.0).count() as f64;
    assert_eq!(at_most(&summary, 4000.0), exact);
    assert_eq!(at_most(&summary, 4000.5), exact);
    assert_eq!(at_least(&summary, 4000.5), 100_000.0 - exact);
}

#[test]
fn a_long_stream_has_the_error_of_a_single_compression() {
    let n = 600_000;
    let random = uniforms(n, 7);
    let mut rows = Array2::from_shape_fn((n, 5), |(i, j)| match j {
        0 => random[i],
        1 => i as f64,
        2 => -(i as f64),
        // a sawtooth, and values of any magnitude
        3 => (i % 70_001) as f64 + random[i],
        _ => ((random[i] - 0.5) * 1400.0).exp(),
    });
    rows.column_mut(0)
        .iter_mut()
        .step_by(9)
        .for_each(|x| *x = f64::NAN);
    let mut stream = ColumnStream::<RankSummary>::new(5);
    let context = Context::new();
    stream.push(rows.view(), &context).expect("taken");
    for (mut found, column) in stream
        .finish(&context)
        .expect("columns")
        .into_iter()
        .zip(rows.columns())
    {
        assert!(found.error() < 2e-3, "{}", found.error());
        found.compress();
        assert!(found.values().len() <= COMPRESSED);
        assert!(found.error() < 0.006, "{}", found.error());
        let mut sorted: Vec<f64> = column.iter().copied().filter(|x| !x.is_nan()).collect();
        sorted.sort_by(f64::total_cmp);
        assert_counts(&found, &sorted);
    }
}

#[test]
fn brackets_contain_their_ranks() {
    let mut values = uniforms(100_000, 8);
    values
        .iter_mut()
        .step_by(3)
        .for_each(|x| *x = (*x * 20.0).floor());
    values.sort_by(f64::total_cmp);
    let compressed = RankSummary::compressed(&values, 200);
    let exact = RankSummary::of_sorted_within(&values, 200_000);
    for rank in (0..100_000).step_by(997) {
        for last in [rank, (rank + 1).min(99_999)] {
            for summary in [&compressed, &exact] {
                let (low, high, between) = summary.bracket(rank as u64, last as u64).expect("one");
                assert!(low <= values[rank] && values[last] <= high);
                let inside = values.iter().filter(|x| low < **x && **x < high).count();
                assert!(inside as u64 <= between);
            }
            let (low, high, _) = exact.bracket(rank as u64, rank as u64).expect("one");
            assert_eq!((low, high), (values[rank], values[rank]));
        }
    }
    assert_eq!(exact.bracket(0, 100_000), None);
    assert_eq!(RankSummary::default().bracket(0, 0), None);
}

#[test]
fn a_compressed_summary_keeps_its_tails() {
    for (n, largest) in [(10_000, 0.002), (100_000, 0.004), (1_000_000, 0.006)] {
        let mut values = uniforms(n, 2);
        values.sort_by(f64::total_cmp);
        let summary = summary(&values);
        assert!(summary.values().len() <= COMPRESSED);
        assert!(summary.error() <= largest, "{n}: {}", summary.error());
        assert_counts(&summary, &values);
        // the outermost are exact
        for i in 0..80 {
            assert_eq!(at_most(&summary, values[i]), i as f64 + 1.0);
            assert_eq!(at_least(&summary, values[n - 1 - i]), i as f64 + 1.0);
        }
    }
}

#[test]
fn frequent_values_and_heavy_tails_stay_within_the_error() {
    let mut values: Vec<f64> = uniforms(200_000, 3)
        .iter()
        .map(|x| (x / (1.0 - x)).powi(5))
        .collect();
    values.extend(std::iter::repeat_n(1.0, 100_000));
    values.extend(std::iter::repeat_n(1e300, 3));
    values.sort_by(f64::total_cmp);
    let summary = summary(&values);
    assert!(summary.error() < 0.006, "{}", summary.error());
    assert_counts(&summary, &values);
}

#[test]
fn the_error_does_not_accumulate_over_many_merges() {
    let mut all = Vec::new();
    let mut merged = RankSummary::default();
    for batch in 0..300 {
        // a batch from the middle, from everywhere, and from beyond in turn
        let values: Vec<f64> = uniforms(1000, 100 + batch)
            .iter()
            .map(|x| match batch % 3 {
                0 => 0.4 + 0.2 * x,
                1 => *x,
                _ => x * batch as f64,
            })
            .collect();
        merged.merge(&summary(&values)).expect("merged");
        merged.compress();
        assert!(merged.values().len() <= MAX_EXACT);
        all.extend(values);
    }
    all.sort_by(f64::total_cmp);
    assert!(merged.error() < 0.01, "{}", merged.error());
    assert_counts(&merged, &all);
}

#[test]
fn halves_merge_like_the_whole() {
    let mut values = uniforms(60_000, 4);
    let (first, second) = values.split_at(20_000);
    let mut merged = summary(first);
    merged.merge(&summary(second)).expect("merged");
    let largest = summary(first).error().max(summary(second).error());
    assert!(merged.error() <= largest);
    values.sort_by(f64::total_cmp);
    assert_counts(&merged, &values);
}

#[test]
fn merging_with_an_empty_summary_changes_nothing() {
    let empty = RankSummary::default();
    empty.validate().expect("valid");
    assert_eq!((empty.n(), empty.range(), empty.error()), (0, None, 0.0));
    assert_eq!((at_most(&empty, 1.0), at_least(&empty, 1.0)), (0.0, 0.0));
    let some = summary(&[1.0, 2.0, 2.0]);
    let mut merged = empty.clone();
    merged.merge(&some).expect("merged");
    assert_eq!(merged, some);
    merged.merge(&empty).expect("merged");
    assert_eq!(merged, some);
}

#[test]
fn damaged_summaries_are_refused() {
    let good = summary(&uniforms(20_000, 5));
    good.validate().expect("valid");
    let damages: [fn(&mut RankSummary); 10] = [
        |s| s.values.truncate(5),
        |s| s.least.truncate(5),
        |s| s.values[3] = s.values[2],
        |s| s.values[3] = f64::NAN,
        |s| s.values[0] = f64::NEG_INFINITY,
        |s| s.most[7] = 0,
        |s| s.least[7] = 1 << 40,
        |s| s.least[0] = 0,
        |s| *s.most.last_mut().expect("some") += 1,
        |s| {
            *s.most.last_mut().expect("some") = u64::MAX;
            *s.least.last_mut().expect("some") = u64::MAX;
        },
    ];
    for damage in damages {
        let mut bad = good.clone();
        damage(&mut bad);
        let error = bad.validate().expect_err("damaged");
        assert_eq!(error.reason(), reason::DAMAGED_ARTIFACT);
    }
}

#[test]
fn more_values_than_can_be_counted_are_refused() {
    let mut many = summary(&[1.0, 2.0]);
    many.most = vec![1, MAX_COUNT];
    many.validate().expect("valid");
    let error = many.merge(&summary(&[1.0])).expect_err("too many");
    assert_eq!(error.reason(), reason::UNUSABLE_ROWS);
}

#[test]
fn long_columns_are_sorted() {
    let mut values = uniforms(300_000, 6);
    for (i, x) in values.iter_mut().enumerate() {
        *x = match i % 5 {
            0 => -*x,
            1 => *x * 1e300,
            2 => -0.0,
            3 => *x * 5e-324,
            _ => *x,
        };
    }
    let mut keys: Vec<u64> = values.iter().map(|&x| sort::key(x)).collect();
    let mut room = vec![0; keys.len()];
    sort::sort(&mut keys, &mut room, &Context::new()).expect("sorted");
    let found: Vec<f64> = keys.into_iter().map(sort::value).collect();
    let mut expected: Vec<f64> = values.iter().map(|x| x + 0.0).collect();
    expected.sort_by(f64::total_cmp);
    assert!(
        found
            .iter()
            .zip(&expected)
            .all(|(a, b)| a.to_bits() == b.to_bits())
    );
    assert_eq!(found.len(), expected.len());
}

#[test]
fn sorting_stops_when_cancelled() {
    let context = Context::new();
    context.cancel();
    let mut keys: Vec<u64> = (0..300_000).collect();
    let error = sort::sort(&mut keys.clone(), &mut keys, &context).expect_err("cancelled");
    assert_eq!(error.reason(), reason::CANCELLED);
}

#[test]
fn columns_come_sorted_and_without_missing_values() {
    for d in [1, 3, 700] {
        let rows = Array2::from_shape_fn((20, d), |(i, j)| {
            let missing = (i + j) % 4 == 0;
            if missing {
                f64::NAN
            } else {
                ((7 * i + j) % 20) as f64
            }
        });
        let mut found = vec![(usize::MAX, Vec::new()); d];
        let context = Context::new();
        for_each_sorted_column(rows.view(), &mut found, &context, |j, found, sorted| {
            *found = (j, sorted.to_vec());
            Ok(())
        })
        .expect("columns");
        for (j, (index, sorted)) in found.into_iter().enumerate() {
            let mut expected: Vec<f64> = rows
                .column(j)
                .iter()
                .copied()
                .filter(|x| !x.is_nan())
                .collect();
            expected.sort_by(f64::total_cmp);
            assert_eq!((index, sorted), (j, expected));
        }
    }
}

#[test]
fn the_error_of_the_first_bad_column_is_returned() {
    let rows = Array2::<f64>::zeros((2, 600));
    let mut columns = [(); 600];
    let found = for_each_sorted_column(
        rows.view(),
        &mut columns,
        &Context::new(),
        |column, (), _| {
            let problem = "it is bad";
            if column % 100 == 7 {
                Err(ColumnError { column, problem }.into())
            } else {
                Ok(())
            }
        },
    );
    assert!(found.expect_err("bad").to_string().contains("column 7:"));
}

#[test]
fn a_budget_is_not_exceeded() {
    let budget = Budget::default();
    budget.take(1 << 29).expect("there is room");
    budget.take(1 << 29).expect("there is room");
    assert_eq!(
        budget.take(1).expect_err("full").reason(),
        reason::UNUSABLE_ROWS
    );
    assert_eq!(
        Budget::default()
            .take(usize::MAX)
            .expect_err("full")
            .reason(),
        reason::UNUSABLE_ROWS
    );
}

proptest! {
    #[test]
    fn counting_leading_is_a_partition_point(
        mut sorted in vec(0..40i32, 0..60),
        xs in vec(-1..41i32, 4),
    ) {
        sorted.sort_unstable();
        let sorted: Vec<f64> = sorted.into_iter().map(f64::from).collect();
        let found = count_leading::<4>(&sorted, |lane, value| value <= f64::from(xs[lane]));
        for (found, x) in found.into_iter().zip(&xs) {
            prop_assert_eq!(found, sorted.partition_point(|&value| value <= f64::from(*x)));
        }
    }

    #[test]
    fn exact_summaries_merge_exactly(
        a in vec(-5..5i32, 0..50),
        b in vec(-5..5i32, 1..50),
    ) {
        let doubles = |values: &[i32]| -> Vec<f64> { values.iter().map(|&x| f64::from(x)).collect() };
        let whole = summary(&doubles(&[a.clone(), b.clone()].concat()));
        let (a, b) = (summary(&doubles(&a)), summary(&doubles(&b)));
        let mut merged = a.clone();
        merged.merge(&b).expect("merged");
        prop_assert_eq!(&merged, &whole);
        let mut reverse = b;
        reverse.merge(&a).expect("merged");
        prop_assert_eq!(&reverse, &whole);
    }

    #[test]
    fn small_targets_keep_the_counts_within_the_error(
        values in vec(-1000..1000i32, 1..400),
        more in vec(-1000..1000i32, 1..400),
        target in 8..40usize,
    ) {
        let doubles = |values: &[i32]| -> Vec<f64> { values.iter().map(|&x| f64::from(x)).collect() };
        let (values, more) = (doubles(&values), doubles(&more));
        let mut found = summary(&values);
        found.compress_to(target);
        let mut other = summary(&more);
        other.compress_to(target);
        found.merge(&other).expect("merged");
        found.compress_to(target);
        let mut all = [values, more].concat();
        all.sort_by(f64::total_cmp);
        assert_counts(&found, &all);
    }
}
