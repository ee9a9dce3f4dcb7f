//! Rows side by side: as many independent sums as keep the floating-point units busy. A row gets the same operations in the
//! same order in every lane and alone, so that its score does not depend on its neighbours.

/// What scores several rows at once.
pub(super) trait RowKernel {
    /// Scores `N` rows, d values each one after the other. `scratch` has room for a value of each row for each feature.
    fn score<const N: usize>(&self, rows: &[f64], scratch: &mut [[f64; N]], scores: &mut [f64]);
}

/// Scores rows, d values each one after the other, `LANES` at a time and the rest one by one; d is at least 1.
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

/// What the value of one feature adds to the score of a row.
pub(super) trait FeatureKernel {
    /// Adds what each of `N` values adds.
    fn add<const N: usize>(&self, values: [f64; N], sums: &mut [f64]);
}

/// Adds what one feature adds to the sums of rows, d values each one after the other.
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
