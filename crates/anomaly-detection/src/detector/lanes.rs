//! Scores several rows at once, with enough independent sums to keep the floating-point units busy. A row gets the same
//! operations in the same order alone and in every lane, so that its score does not depend on the other rows.

/// Scores several rows at once.
pub(super) trait RowKernel {
    /// Scores `N` rows in row-major order, of d values each. `scratch` has room for d x `N` values.
    fn score<const N: usize>(&self, rows: &[f64], scratch: &mut [[f64; N]], scores: &mut [f64]);
}

/// Scores rows in row-major order, of d >= 1 values each: `LANES` at a time, the rest one by one.
pub(super) fn score_rows<const LANES: usize>(
    kernel: &impl RowKernel,
    d: usize,
    rows: &[f64],
    scores: &mut [f64],
) {
    let whole = scores.len() / LANES * LANES;
    let (in_lanes, single) = scores.split_at_mut(whole);
    let mut scratch = vec![[0.0; LANES]; d];
    for (rows, scores) in rows
        .chunks_exact(LANES * d)
        .zip(in_lanes.chunks_exact_mut(LANES))
    {
        kernel.score::<LANES>(rows, &mut scratch, scores);
    }
    let mut scratch = vec![[0.0; 1]; d];
    for (row, score) in rows[whole * d..]
        .chunks_exact(d)
        .zip(single.chunks_exact_mut(1))
    {
        kernel.score::<1>(row, &mut scratch, score);
    }
}

/// The contribution of one feature to the score of a row.
pub(super) trait FeatureKernel {
    /// Adds the contributions of `N` values to their sums.
    fn add<const N: usize>(&self, values: [f64; N], sums: &mut [f64]);
}

/// Adds the contribution of one feature to the sums of rows in row-major order, of d values each.
pub(super) fn add_feature<const LANES: usize>(
    kernel: &impl FeatureKernel,
    d: usize,
    feature: usize,
    rows: &[f64],
    sums: &mut [f64],
) {
    for (rows, sums) in rows.chunks(LANES * d).zip(sums.chunks_mut(LANES)) {
        let value = |lane: usize| rows[lane * d + feature];
        if sums.len() == LANES {
            kernel.add::<LANES>(std::array::from_fn(value), sums);
        } else {
            for (lane, sum) in sums.chunks_mut(1).enumerate() {
                kernel.add::<1>([value(lane)], sum);
            }
        }
    }
}
