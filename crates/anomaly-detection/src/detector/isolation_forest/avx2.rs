//! Traversal of perfect trees by a block of rows, with AVX2.
//!
//! The first four levels have only 15 nodes, so that comparing eight rows with all of them and blending the outcomes is cheaper
//! than loading the node of each row. Below them, interleaved loads in scalar code are faster, also than gathers. Comparisons and
//! sums are those of the portable traversal, so that the scores are bit for bit the same.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m256, _CMP_GT_OQ, _mm256_add_epi32, _mm256_blendv_ps, _mm256_castps_si256, _mm256_cmp_ps,
    _mm256_loadu_ps, _mm256_set1_epi32, _mm256_set1_ps, _mm256_storeu_si256, _mm256_sub_epi32,
};

use super::BLOCK;
use super::perfect::{MAX_DEPTH, Node, PerfectTree, PerfectTrees};
use crate::detector::simd::Avx2;

/// The number of levels whose nodes are all compared.
const TOP_LEVELS: u32 = 4;

/// The number of nodes of these levels, plus the unused slot 0.
const N_TOP: usize = 1 << TOP_LEVELS;

/// The number of rows whose loads are interleaved.
const LANES: usize = 32;

const _: () = assert!(BLOCK.is_multiple_of(LANES), "chunks of lanes fill a block");

/// Whether trees of this depth can be traversed here.
pub(super) fn takes(depth: u32) -> bool {
    (TOP_LEVELS..=MAX_DEPTH).contains(&depth)
}

/// Adds the path lengths of each row; the block is laid out feature by feature.
///
/// # Panics
/// If there are more than [`BLOCK`] rows, if the block lacks a feature that a node splits on, or if the trees are too shallow
/// or too deep.
pub(super) fn add_block(_: Avx2, trees: &PerfectTrees, block: &[f32], sums: &mut [f64]) {
    assert!(sums.len() <= BLOCK, "no more rows than a block has");
    assert!(
        block.len() >= trees.n_features() * BLOCK,
        "a column for each feature that a node splits on"
    );
    assert!(takes(trees.depth()), "trees of a depth that can be walked");
    for index in 0..trees.n_trees() {
        let tree = trees.tree(index);
        // SAFETY: the processor has AVX2, or there would be no proof. A tree has `2^depth` nodes and leaves, its nodes split on
        // features below `n_features`, and the rest was asserted.
        unsafe { add_tree(&tree, block, sums) };
    }
}

/// Adds the path lengths of a block's rows in one tree.
///
/// # Safety
///
/// The processor has AVX2. The tree has `2^depth` nodes and leaves, with a depth that is [taken](takes). The block has
/// [`BLOCK`] values for each feature that a node splits on, and there are no more sums than that.
#[target_feature(enable = "avx2")]
unsafe fn add_tree(tree: &PerfectTree<'_>, block: &[f32], sums: &mut [f64]) {
    let &PerfectTree {
        depth,
        nodes,
        leaves,
    } = tree;
    let mut columns = [block.as_ptr(); N_TOP];
    for (column, node) in columns.iter_mut().zip(&nodes[..N_TOP]).skip(1) {
        // SAFETY: the block has a column for each feature.
        *column = unsafe { block.as_ptr().add(node.feature as usize * BLOCK) };
    }
    let mut places = [0_u32; LANES];
    for (chunk, sums) in sums.chunks_mut(LANES).enumerate() {
        let first = chunk * LANES;
        for eight in (0..LANES).step_by(8) {
            // SAFETY: a column has BLOCK values, of which BLOCK / LANES chunks read LANES each; so do `places`.
            unsafe {
                top_levels(
                    nodes,
                    &columns,
                    first + eight,
                    places.as_mut_ptr().add(eight),
                );
            }
        }
        for _ in TOP_LEVELS..depth {
            for (lane, place) in places.iter_mut().enumerate() {
                // SAFETY: above the last level a place is below 2^depth; the block has a column for each feature.
                unsafe {
                    let node = nodes.get_unchecked(*place as usize);
                    let value = block.get_unchecked(node.feature as usize * BLOCK + first + lane);
                    *place = 2 * *place + u32::from(*value > node.threshold);
                }
            }
        }
        for (sum, &place) in sums.iter_mut().zip(&places) {
            // SAFETY: after `depth` steps from 1, a place is in 2^depth..2^(depth + 1).
            *sum += f64::from(unsafe { *leaves.get_unchecked(place as usize - leaves.len()) });
        }
    }
}

/// Walks eight rows from the root to the nodes below the top levels.
///
/// # Safety
///
/// The processor has AVX2, `columns` point to `first + 8` values each, and `places` to room for eight.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn top_levels(
    nodes: &[Node],
    columns: &[*const f32; N_TOP],
    first: usize,
    places: *mut u32,
) {
    let exceeds = |i: usize| -> __m256 {
        // SAFETY: the caller guarantees it.
        let values = unsafe { _mm256_loadu_ps(columns[i].add(first)) };
        _mm256_cmp_ps::<_CMP_GT_OQ>(values, _mm256_set1_ps(nodes[i].threshold))
    };
    let either = |i: usize, choice: __m256| -> __m256 {
        _mm256_blendv_ps(exceeds(i), exceeds(i + 1), choice)
    };
    let zeroth = exceeds(1);
    let first = either(2, zeroth);
    let second = _mm256_blendv_ps(either(4, first), either(6, first), zeroth);
    let third = _mm256_blendv_ps(
        _mm256_blendv_ps(either(8, second), either(10, second), first),
        _mm256_blendv_ps(either(12, second), either(14, second), first),
        zeroth,
    );
    // a true comparison is -1
    let mut place = _mm256_set1_epi32(1);
    for level in [zeroth, first, second, third] {
        place = _mm256_sub_epi32(_mm256_add_epi32(place, place), _mm256_castps_si256(level));
    }
    // SAFETY: the caller guarantees it.
    unsafe { _mm256_storeu_si256(places.cast(), place) };
}
