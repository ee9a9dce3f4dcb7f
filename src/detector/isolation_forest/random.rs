//! The random streams of a forest: one for each tree, so that the number of threads changes nothing.

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// The generator of one tree.
pub(super) type TreeRng = Xoshiro256PlusPlus;

/// The stream of one tree of a forest that was grown after `seen` earlier rows: updates draw anew.
pub(super) fn tree_rng(random_state: u64, seen: u64, tree: usize) -> TreeRng {
    let key = split_mix(split_mix(split_mix(random_state) ^ seen) ^ tree as u64);
    TreeRng::seed_from_u64(key)
}

/// One step of SplitMix64 (Steele, Lea and Flood, 2014): a bijection that scatters neighbouring keys.
fn split_mix(key: u64) -> u64 {
    let mut z = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A standard normal number, by Marsaglia's polar method.
pub(super) fn normal(rng: &mut TreeRng) -> f64 {
    loop {
        let u = 2.0 * rng.random::<f64>() - 1.0;
        let v = 2.0 * rng.random::<f64>() - 1.0;
        let s = u * u + v * v;
        if s > 0.0 && s < 1.0 {
            return u * (-2.0 * s.ln() / s).sqrt();
        }
    }
}
