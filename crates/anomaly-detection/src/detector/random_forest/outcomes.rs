//! The nodes that many rows reach at once. Outcomes are node numbers, so they are the same on every processor.

#[cfg(target_arch = "x86_64")]
use super::avx2;
use super::windows::Split;
#[cfg(target_arch = "x86_64")]
use crate::detector::simd::Avx2;
use crate::detector::simd::with_simd;

/// How many rows are gathered at a time.
pub(super) const GATHERED: usize = 32;

/// How many codes of a row are gathered at a time.
pub(super) const CODES: usize = 16;

/// For each node of a window and each of `N` rows, the node that the row reaches from that node.
pub(super) type Outcomes<const N: usize> = [[u8; N]; 256];

/// Outcomes with which every row stays at its node.
pub(super) static STAY: Outcomes<GATHERED> = {
    let mut stay = [[0; GATHERED]; 256];
    let mut node = 0;
    while node < 256 {
        stay[node] = [node as u8; GATHERED];
        node += 1;
    }
    stay
};

/// Computes the outcomes of the splits in their order. The codes of `N` rows for a slot start `stride` after those of the slot
/// before.
pub(super) fn choose<const N: usize>(
    splits: &[Split],
    codes: &[u8],
    stride: usize,
    outcomes: &mut Outcomes<N>,
) {
    with_simd!(_ => choose_plain(splits, codes, stride, outcomes));
}

#[inline(always)]
pub(super) fn choose_plain<const N: usize>(
    splits: &[Split],
    codes: &[u8],
    stride: usize,
    outcomes: &mut Outcomes<N>,
) {
    for split in splits {
        let of_slot = &codes[usize::from(split.slot) * stride..][..N];
        let left = outcomes[usize::from(split.child)];
        let right = outcomes[usize::from(split.child.wrapping_add(1))];
        let outcome = &mut outcomes[usize::from(split.node)];
        for row in 0..N {
            // blends with a mask, so that the compiler vectorises over rows
            let goes_right = 0_u8.wrapping_sub(u8::from(of_slot[row] >= split.at_least));
            outcome[row] = left[row] ^ ((left[row] ^ right[row]) & goes_right);
        }
    }
}

/// Transposes codes from row-major to slot-major order.
pub(super) fn transpose(rows: &[&[u8; CODES]; GATHERED], slots: &mut [[u8; GATHERED]; CODES]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = Avx2::detect() {
        return avx2::transpose(avx2, rows, slots);
    }
    transpose_plain(rows, slots);
}

pub(super) fn transpose_plain(
    rows: &[&[u8; CODES]; GATHERED],
    slots: &mut [[u8; GATHERED]; CODES],
) {
    for (slot, codes) in slots.iter_mut().enumerate() {
        *codes = std::array::from_fn(|row| rows[row][slot]);
    }
}
