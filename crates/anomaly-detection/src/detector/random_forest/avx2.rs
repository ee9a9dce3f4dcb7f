//! Transposing codes with AVX2.

use super::outcomes::{CODES, GATHERED};
use crate::detector::simd::Avx2;

/// Transposes codes from row-major to slot-major order.
///
/// Interleaves the bytes of registers that are 8 apart, four times. The halves of a register are independent: the first halves
/// hold the first 16 rows, the second halves the other 16.
pub(super) fn transpose(
    avx2: Avx2,
    rows: &[&[u8; CODES]; GATHERED],
    slots: &mut [[u8; GATHERED]; CODES],
) {
    avx2.run(
        #[inline(always)]
        |avx2| {
            let mut registers = [avx2.load_halves(rows[0], rows[CODES]); CODES];
            for (row, register) in registers.iter_mut().enumerate().skip(1) {
                *register = avx2.load_halves(rows[row], rows[row + CODES]);
            }
            for _ in 0..4 {
                let mut next = registers;
                for k in 0..CODES / 2 {
                    let (a, b) = (registers[k], registers[k + CODES / 2]);
                    next[2 * k] = avx2.interleave_low(a, b);
                    next[2 * k + 1] = avx2.interleave_high(a, b);
                }
                registers = next;
            }
            for (slot, register) in slots.iter_mut().zip(registers) {
                avx2.store_bytes(register, slot);
            }
        },
    );
}
