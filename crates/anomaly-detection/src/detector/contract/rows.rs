//! Rows for tests of detectors.

use std::ops::Range;

use ndarray::Array2;
use proptest::collection::vec;
use proptest::prelude::*;

/// Knuth's linear congruential generator.
fn states(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        state
    }
}

/// A stream of numbers from 0 to below 1.
pub(in crate::detector) fn uniforms(seed: u64) -> impl FnMut() -> f64 {
    let mut next = states(seed);
    move || (next() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Rows with correlated columns, at an offset.
pub(in crate::detector) fn correlated(n: usize, d: usize, offset: f64, seed: u64) -> Array2<f64> {
    let mut uniform = uniforms(seed);
    let mut rows = Array2::zeros((n, d));
    for mut row in rows.rows_mut() {
        let common = uniform();
        row.mapv_inplace(|_: f64| offset + common + 2.0 * uniform());
    }
    rows
}

/// Rows at an offset, whose columns have many distinct values, except every third, which has few.
pub(in crate::detector) fn mixed(n: usize, d: usize, offset: f64, seed: u64) -> Array2<f64> {
    let mut uniform = uniforms(seed);
    Array2::from_shape_fn((n, d), |(_, j)| {
        let x = uniform();
        let x = if j % 3 == 2 { (9.0 * x).floor() } else { x * x };
        offset + x
    })
}

/// Rows of small whole numbers, a third of them equal to another row, so that there are copies and ties.
pub(in crate::detector) fn grid(n: usize, d: usize, seed: u64) -> Array2<f64> {
    let mut state = states(seed);
    let mut next = move || state() >> 33;
    let mut rows = Array2::from_shape_fn((n, d), |_| (next() % 5) as f64);
    for i in (1..n).step_by(3) {
        let other = rows.row(next() as usize % i).to_owned();
        rows.row_mut(i).assign(&other);
    }
    rows
}

/// Rows in the unit cube without ties, at an offset.
pub(in crate::detector) fn cloud(n: usize, d: usize, offset: f64, seed: u64) -> Array2<f64> {
    let mut uniform = uniforms(seed ^ 0x9e37_79b9);
    Array2::from_shape_simple_fn((n, d), move || offset + uniform())
}

/// Offsets that are small and large relative to the rows.
pub(in crate::detector) fn offsets() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(1e9), Just(-3e5)]
}

/// Any finite values.
pub(in crate::detector) fn hostile() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -10.0..10.0f64,
        1 => prop::sample::select(vec![
            0.0, -0.0, 1.0, 1e300, -1e300, f64::MAX, f64::MIN, 1e-300, 5e-324, -5e-324, 1e150, -1e150, 1e9, 1e9 + 1.0,
        ]),
    ]
}

/// Rows of three [`hostile`] values.
pub(in crate::detector) fn hostile_rows(n: Range<usize>) -> impl Strategy<Value = Array2<f64>> {
    vec(vec(hostile(), 3), n)
        .prop_map(|rows| Array2::from_shape_vec((rows.len(), 3), rows.concat()).expect("a matrix"))
}
