//! What is done with many rows side by side, with AVX2. False, and nothing done, where the processor lacks it.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    _mm_loadu_si128, _mm256_castsi128_si256, _mm256_inserti128_si256, _mm256_setzero_si256,
    _mm256_storeu_si256, _mm256_unpackhi_epi8, _mm256_unpacklo_epi8,
};

use super::side_by_side::{CODES, GATHERED, Outcomes, choose_plain};
use super::windows::Split;

pub(super) fn choose<const N: usize>(
    splits: &[Split],
    codes: &[u8],
    stride: usize,
    outcomes: &mut Outcomes<N>,
) -> bool {
    #[target_feature(enable = "avx2")]
    fn choose<const N: usize>(
        splits: &[Split],
        codes: &[u8],
        stride: usize,
        outcomes: &mut Outcomes<N>,
    ) {
        choose_plain(splits, codes, stride, outcomes);
    }
    let is_there = is_x86_feature_detected!("avx2");
    if is_there {
        // SAFETY: the processor has AVX2, all that the function asks for.
        unsafe { choose(splits, codes, stride, outcomes) };
    }
    is_there
}

pub(super) fn transpose(
    rows: &[&[u8; CODES]; GATHERED],
    slots: &mut [[u8; GATHERED]; CODES],
) -> bool {
    let is_there = is_x86_feature_detected!("avx2");
    if is_there {
        // SAFETY: the processor has AVX2, all that the function asks for.
        unsafe { interleave(rows, slots) };
    }
    is_there
}

/// Interleaves the bytes of registers that are 8 apart, four times. Each half of a register is for itself: the first halves hold
/// the first 16 rows, the second halves the others.
#[target_feature(enable = "avx2")]
fn interleave(rows: &[&[u8; CODES]; GATHERED], slots: &mut [[u8; GATHERED]; CODES]) {
    let load = |row: usize| {
        // SAFETY: a row has the 16 bytes that are read, at any address.
        unsafe { _mm_loadu_si128(rows[row].as_ptr().cast()) }
    };
    let mut registers = [_mm256_setzero_si256(); CODES];
    for (row, register) in registers.iter_mut().enumerate() {
        let low = _mm256_castsi128_si256(load(row));
        *register = _mm256_inserti128_si256::<1>(low, load(row + CODES));
    }
    for _ in 0..4 {
        let mut next = registers;
        for k in 0..CODES / 2 {
            let (a, b) = (registers[k], registers[k + CODES / 2]);
            next[2 * k] = _mm256_unpacklo_epi8(a, b);
            next[2 * k + 1] = _mm256_unpackhi_epi8(a, b);
        }
        registers = next;
    }
    for (slot, register) in slots.iter_mut().zip(registers) {
        // SAFETY: a slot has the 32 bytes that are written, at any address.
        unsafe { _mm256_storeu_si256(slot.as_mut_ptr().cast(), register) };
    }
}
