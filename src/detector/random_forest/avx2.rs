//! Walking rows down the first nodes of a tree with AVX2.
//!
//! The first nodes of a tree are those that most rows reach. Comparing 32 rows at once with each of them and choosing between
//! the outcomes, from the last node to the first, is cheaper than looking each row's own node up. The outcome is a node, and
//! so the scores are those of the portable walk, bit for bit.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m256i, _mm256_blendv_epi8, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_max_epu8,
    _mm256_set1_epi8, _mm256_storeu_si256,
};

use super::tree::TreeView;
use super::walk::CHUNK;

/// The nodes that count as the first.
const N_FIRST: usize = 255;

/// The rows of one register.
const WIDTH: usize = 32;

/// A node whose children are among the first.
#[derive(Clone, Copy, Default)]
struct Split {
    /// Where the codes of its slot start.
    column: usize,
    /// Rows with a code of at least this go right.
    at_least: u8,
    node: u8,
    child: u8,
}

/// For each of the first nodes and each row of a chunk where the row ends up that comes to that node.
type Outcomes = [[u8; CHUNK]; N_FIRST];

/// Walks the rows down the first nodes, given a sound tree and a block with `stride` codes for each of its slots. False, and
/// nothing done, where the processor lacks AVX2.
pub(super) fn descend(tree: TreeView<'_>, codes: &[u8], stride: usize, places: &mut [u8]) -> bool {
    if !is_x86_feature_detected!("avx2") || !stride.is_multiple_of(CHUNK) {
        return false;
    }
    let n_first = tree.nodes.len().min(N_FIRST);
    let mut outcomes: Outcomes = [[0; CHUNK]; N_FIRST];
    let mut splits = [Split::default(); N_FIRST];
    let mut n_splits = 0;
    for (index, node) in tree.nodes[..n_first].iter().enumerate().rev() {
        let child = node.child() as usize;
        if node.is_leaf() || child + 1 >= n_first {
            outcomes[index].fill(index as u8);
        } else {
            let column = node.slot() * stride;
            assert!(column + stride <= codes.len(), "codes of each slot");
            assert!(child > index, "children come after their parents");
            splits[n_splits] = Split {
                column,
                // there is no threshold after 255 others
                at_least: (node.code() + 1).min(255) as u8,
                node: index as u8,
                child: child as u8,
            };
            n_splits += 1;
        }
    }
    assert!(places.len() <= stride, "codes of each row");
    for (first, places) in (0..stride).step_by(CHUNK).zip(places.chunks_mut(CHUNK)) {
        // SAFETY: the processor has AVX2; the columns hold `stride` codes, which is a multiple of CHUNK; the nodes and the
        // children of the splits, and the second ones of these, are below N_FIRST.
        unsafe { choose(&splits[..n_splits], &codes[first..], &mut outcomes) };
        places.copy_from_slice(&outcomes[0][..places.len()]);
    }
    true
}

/// Fills the outcomes of the splits, in their order, for a chunk of rows.
///
/// # Safety
///
/// The processor has AVX2. From the column of each split on, there are at least [`CHUNK`] codes. Its node, its child and the
/// child after that are below [`N_FIRST`].
#[target_feature(enable = "avx2")]
unsafe fn choose(splits: &[Split], codes: &[u8], outcomes: &mut Outcomes) {
    let outcomes = outcomes.as_mut_ptr().cast::<u8>();
    for split in splits {
        let at_least = _mm256_set1_epi8(split.at_least as i8);
        for lane in (0..CHUNK).step_by(WIDTH) {
            // SAFETY: as the caller vouches: each outcome has CHUNK bytes, and so has the column from here on.
            unsafe {
                let load = |node: u8| -> __m256i {
                    _mm256_loadu_si256(outcomes.add(usize::from(node) * CHUNK + lane).cast())
                };
                let values = _mm256_loadu_si256(codes.as_ptr().add(split.column + lane).cast());
                let goes_right = _mm256_cmpeq_epi8(_mm256_max_epu8(values, at_least), values);
                let outcome =
                    _mm256_blendv_epi8(load(split.child), load(split.child + 1), goes_right);
                let place = outcomes.add(usize::from(split.node) * CHUNK + lane);
                _mm256_storeu_si256(place.cast(), outcome);
            }
        }
    }
}
