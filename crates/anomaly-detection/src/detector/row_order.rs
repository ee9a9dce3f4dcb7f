//! Orders of rows that depend only on their values, so that sums in them do not depend on the original order.

use std::cmp::Ordering;

use ndarray::{ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;

use crate::context::Context;
use crate::error::{Error, Result};

/// How many values are hashed between two checks of the context.
const CHUNK_VALUES: usize = 1 << 16;

/// About how many rows share a bucket. Each bucket is sorted separately.
const BUCKET_ROWS: usize = 16;

/// The maximum number of hash bits that select a bucket.
const MAX_BITS: u32 = 14;

/// The lexicographic order of two rows of the same length.
pub(super) fn lexicographic(
    a: impl IntoIterator<Item = f64>,
    b: impl IntoIterator<Item = f64>,
) -> Ordering {
    let mut columns = a.into_iter().zip(b).map(|(x, y)| x.total_cmp(&y));
    columns.find(|it| it.is_ne()).unwrap_or(Ordering::Equal)
}

/// The indices of the rows, ordered by a hash of their values: first those outside the group, then those in it.
///
/// Rows with the same hash are almost certainly equal; if not, a sum over them may round differently.
///
/// # Errors
/// Those of [`Context::check`].
pub(super) fn content_order(
    rows: ArrayView2<'_, f64>,
    is_in_group: impl Fn(usize) -> bool,
    context: &Context,
) -> Result<Vec<usize>> {
    let chunk = (CHUNK_VALUES / rows.ncols().max(1)).max(1);
    let mut hashes = vec![0; rows.nrows()];
    rows.axis_chunks_iter(Axis(0), chunk)
        .into_par_iter()
        .zip(hashes.par_chunks_mut(chunk))
        .try_for_each(|(rows, hashes)| {
            context.check()?;
            for (place, row) in hashes.iter_mut().zip(rows.rows()) {
                *place = hash(row);
            }
            Ok::<_, Error>(())
        })?;
    context.check()?;
    // hashes are spread evenly, so that their first bits nearly sort them
    let n_buckets = (hashes.len() / BUCKET_ROWS).clamp(2, 1 << MAX_BITS);
    let bits = n_buckets.ilog2();
    let bucket = |hash: u64| (hash >> (u64::BITS - bits)) as usize;
    let mut places = vec![0; 1 << bits];
    for &hash in &hashes {
        places[bucket(hash)] += 1;
    }
    let mut sum = 0;
    for place in &mut places {
        sum += std::mem::replace(place, sum);
    }
    let mut keys = vec![(0, 0); hashes.len()];
    for (index, &hash) in hashes.iter().enumerate() {
        let place = &mut places[bucket(hash)];
        keys[*place] = (hash, index);
        *place += 1;
    }
    keys.par_chunk_by_mut(|a, b| bucket(a.0) == bucket(b.0))
        .for_each(|keys| keys.sort_unstable());
    let order = keys.into_iter().map(|(_, index)| index);
    let (in_group, mut order): (Vec<usize>, Vec<usize>) = order.partition(|&i| is_in_group(i));
    order.extend(in_group);
    Ok(order)
}

/// A hash of the values: four chains, so that their multiplications overlap.
fn hash(row: ArrayView1<'_, f64>) -> u64 {
    let mut chains = [
        0x9e37_79b9_7f4a_7c15_u64,
        0xbf58_476d_1ce4_e5b9,
        0x94d0_49bb_1331_11eb,
        0xd6e8_feb8_6659_fd93,
    ];
    for (i, x) in row.iter().enumerate() {
        let chain = &mut chains[i % 4];
        // adding 0 turns -0 into 0
        *chain = mix(*chain ^ (x + 0.0).to_bits());
    }
    chains.into_iter().fold(0, |hash, chain| mix(hash ^ chain))
}

fn mix(x: u64) -> u64 {
    let product = x.wrapping_mul(0xff51_afd7_ed55_8ccd);
    product ^ (product >> 32)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn the_order_follows_the_values() {
        let rows = Array2::from_shape_fn((300, 5), |(i, j)| ((i * 7 + j * 13) % 97) as f64);
        let reversed = rows.slice(ndarray::s![..;-1, ..]);
        let in_order = |rows: ArrayView2<'_, f64>| {
            let order = content_order(rows, |_| false, &Context::new()).expect("an order");
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..300).collect::<Vec<_>>());
            rows.select(Axis(0), &order)
        };
        assert_eq!(in_order(rows.view()), in_order(reversed));
    }

    #[test]
    fn rows_are_sorted_whatever_their_hashes() {
        let (distinct, equal) = (1000, 500);
        let rows = Array2::from_shape_fn((distinct + equal, 2), |(i, j)| match i < distinct {
            true => (i * 2 + j) as f64,
            false => 7.5,
        });
        let order = content_order(rows.view(), |_| false, &Context::new()).expect("an order");
        let keys: Vec<_> = order.iter().map(|&i| (hash(rows.row(i)), i)).collect();
        assert_eq!(keys.len(), distinct + equal);
        assert!(keys.is_sorted_by(|a, b| a < b));
        for n in [0, 1, 2, 3] {
            let rows = rows.slice(ndarray::s![..n, ..]);
            let order = content_order(rows, |_| false, &Context::new()).expect("an order");
            assert_eq!(order.len(), n);
        }
    }

    #[test]
    fn groups_come_one_after_the_other() {
        let rows = array![[1.0], [2.0], [3.0], [4.0], [5.0]];
        let order = content_order(rows.view(), |i| i % 2 == 1, &Context::new()).expect("an order");
        assert!(order[..3].iter().all(|i| i % 2 == 0), "{order:?}");
    }

    #[test]
    fn a_cancelled_context_stops_it() {
        let context = Context::new();
        context.cancel();
        content_order(Array2::zeros((10, 2)).view(), |_| false, &context).expect_err("cancelled");
    }
}
