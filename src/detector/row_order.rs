//! An order of rows that depends on their values alone, so that sums taken in it do not depend on the order they came in.

use ndarray::{ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;

use crate::context::Context;
use crate::error::Result;

/// How many values are hashed between two looks at the context.
const BLOCK_VALUES: usize = 1 << 20;

/// The indices of the rows, ordered by group and then by a hash of their values.
///
/// Rows that have the same hash are the same in all likelihood; where they are not, a sum over them may be rounded otherwise.
///
/// # Errors
/// What `context` has to say.
pub(super) fn content_order<G: Ord + Send>(
    rows: ArrayView2<'_, f64>,
    group: impl Fn(usize) -> G + Sync,
    context: &Context,
) -> Result<Vec<usize>> {
    let block = (BLOCK_VALUES / rows.ncols().max(1)).max(1);
    let hashed: Vec<Vec<(G, u64, usize)>> = rows
        .axis_chunks_iter(Axis(0), block)
        .into_par_iter()
        .enumerate()
        .map(|(i, rows)| {
            context.check()?;
            let keys = rows.rows().into_iter().enumerate().map(|(k, row)| {
                let index = i * block + k;
                (group(index), hash(row), index)
            });
            Ok(keys.collect())
        })
        .collect::<Result<_>>()?;
    let mut keys: Vec<_> = hashed.into_iter().flatten().collect();
    context.check()?;
    keys.par_sort_unstable();
    Ok(keys.into_iter().map(|(_, _, index)| index).collect())
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
        // 0 and -0 are one value
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
            let order = content_order(rows, |_| (), &Context::new()).expect("an order");
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..300).collect::<Vec<_>>());
            rows.select(Axis(0), &order)
        };
        assert_eq!(in_order(rows.view()), in_order(reversed));
    }

    #[test]
    fn groups_come_one_after_the_other() {
        let rows = array![[1.0], [2.0], [3.0], [4.0], [5.0]];
        let order = content_order(rows.view(), |i| i % 2, &Context::new()).expect("an order");
        assert!(order[..3].iter().all(|i| i % 2 == 0), "{order:?}");
    }

    #[test]
    fn it_ends_with_its_context() {
        let context = Context::new();
        context.cancel();
        content_order(Array2::zeros((10, 2)).view(), |_| (), &context).expect_err("cancelled");
    }
}
