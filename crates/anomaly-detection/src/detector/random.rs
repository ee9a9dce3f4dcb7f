//! The random streams of detectors: one for each tree or sample, so that results do not depend on the number of threads.

use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

/// The random number generator of one tree.
pub(super) type TreeRng = Xoshiro256PlusPlus;

/// The random stream of one tree of a forest grown after `seen` earlier rows, so that updates draw new numbers.
pub(super) fn tree_rng(random_state: u64, seen: u64, tree: usize) -> TreeRng {
    let key = split_mix(split_mix(split_mix(random_state) ^ seen) ^ tree as u64);
    TreeRng::seed_from_u64(key)
}

/// The increment of SplitMix64 (Steele, Lea and Flood, 2014).
pub(super) const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// One step of SplitMix64: a bijection that scatters neighbouring keys.
pub(super) fn split_mix(key: u64) -> u64 {
    mix(key.wrapping_add(GOLDEN))
}

/// The output function of SplitMix64.
pub(super) fn mix(key: u64) -> u64 {
    let z = (key ^ (key >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
