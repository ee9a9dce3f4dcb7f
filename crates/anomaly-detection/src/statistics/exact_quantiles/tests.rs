use ndarray::{Array2, s};
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::rechunk::EachChunk;
use super::super::uniform::uniform;
use super::*;
use crate::error::reason;

const QS: [f64; 5] = [0.0, 0.25, 0.5, 0.9, 1.0];

/// Visits the rows in chunks whose sizes cycle through these.
fn in_chunks<'a>(
    rows: &'a Array2<f64>,
    sizes: &'a [usize],
) -> impl Fn(&mut EachChunk<'_>) -> Result<()> + 'a {
    move |each| {
        let (mut start, mut sizes) = (0, sizes.iter().cycle());
        while start < rows.nrows() {
            let size = sizes.next().copied().unwrap_or(1).max(1);
            let end = (start + size).min(rows.nrows());
            each(rows.slice(s![start..end, ..]))?;
            start = end;
        }
        Ok(())
    }
}

fn by_sorting(rows: &Array2<f64>) -> Vec<Vec<Option<f64>>> {
    let of = |column: ndarray::ArrayView1<'_, f64>| {
        let mut values: Vec<f64> = column
            .iter()
            .copied()
            .filter(|x| x.is_finite())
            .map(|x| x + 0.0)
            .collect();
        QS.map(|q| quantile(&mut values, q)).to_vec()
    };
    rows.columns().into_iter().map(of).collect()
}

fn bits(quantiles: Vec<Vec<Option<f64>>>) -> Vec<Vec<Option<u64>>> {
    let of = |column: Vec<Option<f64>>| column.into_iter().map(|q| q.map(f64::to_bits)).collect();
    quantiles.into_iter().map(of).collect()
}

fn assert_exact(rows: &Array2<f64>, sizes: &[usize]) {
    let found = exact_quantiles(rows.dim(), &in_chunks(rows, sizes), &QS, &Context::new());
    assert_eq!(bits(found.expect("quantiles")), bits(by_sorting(rows)));
}

#[test]
fn many_distinct_values_give_the_quantiles_of_the_sorted_values() {
    let mut next = uniform(1);
    let n = 300_000;
    let rows = Array2::from_shape_fn((n, 6), |(i, j)| {
        let x = next();
        match j {
            0 => x,
            // exponentially spread over all doubles
            1 => ((x - 0.5) * 1400.0).exp() * if i % 2 == 0 { 1.0 } else { -1.0 },
            2 => 7.0,
            3 => f64::from(u8::from(x < 0.25)) - 0.5,
            // half of them equal, the others all different, and some of them missing
            4 if i % 7 == 0 => [f64::NAN, f64::INFINITY, f64::NEG_INFINITY][i % 3],
            4 if i % 2 == 0 => 0.5,
            4 => x,
            // in order
            _ => i as f64,
        }
    });
    for sizes in [vec![n], vec![1000, 77_777, 1]] {
        assert_exact(&rows, &sizes);
    }
}

#[test]
fn a_column_without_values_has_no_quantiles() {
    let mut rows = Array2::from_elem((4, 2), f64::NAN);
    assert_exact(&rows, &[3]);
    rows[(2, 1)] = -0.0;
    assert_exact(&rows, &[1]);
    let none = exact_quantiles(
        (5, 0),
        &in_chunks(&Array2::zeros((5, 0)), &[2]),
        &QS,
        &Context::new(),
    );
    assert!(none.expect("quantiles").is_empty());
}

#[test]
fn large_brackets_are_divided_into_several_passes() {
    let bracket = |between| {
        let bracket = Bracket {
            rank: 0,
            fraction: 0.0,
            low: 0.0,
            high: 1.0,
            between,
            known: None,
        };
        vec![Some(bracket), None]
    };
    let third = MAX_KEPT_BYTES / 24;
    let brackets = [third, third, third, 1, u64::MAX, 5].map(bracket);
    assert_eq!(passes(&brackets), [0..3, 3..4, 4..5, 5..6]);
    assert!(passes(&[]).iter().all(Range::is_empty));
}

#[test]
fn rows_that_change_between_the_passes_are_noticed() {
    let mut next = uniform(3);
    let first = Array2::from_shape_simple_fn((200_000, 1), &mut next);
    let mut stream = ColumnStream::new(1);
    stream.push(first.view(), &Context::new()).expect("taken");
    let summaries = stream.finish(&Context::new()).expect("summaries");
    for second in [
        Array2::zeros((200_000, 1)),
        Array2::from_elem((200_000, 1), 9.0),
        Array2::from_elem((200_000, 1), first[(0, 0)]),
        Array2::zeros((0, 1)),
        Array2::from_shape_fn((200_000, 1), |(i, _)| 0.5 + (i as f64 - 1e5) * 1e-12),
    ] {
        let visit = in_chunks(&second, &[1000]);
        let error = quantiles_within(&summaries, &visit, &[0.5], &Context::new());
        let error = error.expect_err("changed rows");
        assert_eq!(error.reason(), reason::UNUSABLE_ROWS);
    }
}

#[test]
fn more_rows_than_announced_are_noticed() {
    let rows = Array2::from_shape_simple_fn((150, 1), uniform(5));
    let visit = in_chunks(&rows, &[100, 50]);
    let error = exact_quantiles((100, 1), &visit, &QS, &Context::new());
    assert_eq!(error.expect_err("changed").reason(), reason::UNUSABLE_ROWS);
}

#[test]
fn a_cancelled_search_returns_no_quantiles() {
    let rows = Array2::from_shape_simple_fn((200_000, 2), uniform(4));
    let mut stream = ColumnStream::new(2);
    stream.push(rows.view(), &Context::new()).expect("taken");
    let summaries = stream.finish(&Context::new()).expect("summaries");
    let context = Context::new();
    context.cancel();
    let visit = in_chunks(&rows, &[1000]);
    for found in [
        exact_quantiles(rows.dim(), &visit, &QS, &context),
        quantiles_within(&summaries, &visit, &QS, &context),
    ] {
        assert_eq!(found.expect_err("cancelled").reason(), reason::CANCELLED);
    }
    let visit = in_chunks(&rows, &[200_000]);
    let error = exact_quantiles(rows.dim(), &visit, &QS, &context).expect_err("cancelled");
    assert_eq!(error.reason(), reason::CANCELLED);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn few_values_give_the_quantiles_of_the_sorted_values(
        values in vec(prop_oneof![
            8 => (-3..3i32).prop_map(f64::from),
            4 => -1e300..1e300f64,
            1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::MAX, f64::MIN, -0.0, 5e-324]),
        ], 0..60),
        sizes in vec(1..9usize, 1..4),
    ) {
        let rows = Array2::from_shape_vec((values.len(), 1), values).expect("a matrix");
        assert_exact(&rows, &sizes);
    }
}
