//! Checks pages that store the lengths of texts separately, in the encodings DELTA_LENGTH_BYTE_ARRAY and DELTA_BYTE_ARRAY
//! (Encodings.md of the Parquet format): how many lengths they claim, and how many bytes the texts take once shared prefixes are
//! written out.

use std::sync::Arc;

use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader as _};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

use super::super::FORMAT;
use super::super::ranges::Ranges;
use super::limits::GuardLimits;
use super::refusals::{damaged, too_large};
use crate::error::Result;
use crate::table::invalid;
use crate::table::read::arrays::guarded;
use crate::table::read::source::Source;

/// Checks the pages of a column of `n_rows` rows, whose sizes have been checked. Returns `decompressed` plus the bytes that the
/// texts of these pages take in addition.
pub(super) fn check(
    source: &Source,
    chunk: &ColumnChunkMetaData,
    n_rows: usize,
    mut decompressed: u64,
    limits: GuardLimits,
) -> Result<u64> {
    let file = Arc::new(Ranges(source.clone()));
    let mut pages = guarded(FORMAT, || {
        SerializedPageReader::new(file, chunk, n_rows, None)
    })?;
    let has_levels = chunk.column_descr().max_def_level() > 0;
    while let Some(page) = guarded(FORMAT, || pages.get_next_page())? {
        let Some(values) = values_of(&page, has_levels) else {
            return Err(damaged());
        };
        let lengths = Lengths::of(values).ok_or_else(damaged);
        let written_out = match page.encoding() {
            Encoding::DELTA_LENGTH_BYTE_ARRAY => {
                lengths?.check_count(limits)?;
                0
            }
            Encoding::DELTA_BYTE_ARRAY => {
                let mut prefixes = lengths?;
                prefixes.check_count(limits)?;
                let n_bytes = prefixes.sum().ok_or_else(damaged)?;
                let suffixes = values.get(prefixes.at..).and_then(Lengths::of);
                suffixes.ok_or_else(damaged)?.check_count(limits)?;
                n_bytes
            }
            _ => continue,
        };
        decompressed = decompressed.saturating_add(written_out);
        if decompressed > limits.decompressed_bytes {
            return Err(too_large(limits.decompressed_bytes));
        }
    }
    Ok(decompressed)
}

/// The part of a page after the levels, which mark missing values. There is at most one kind of levels, since columns are flat.
fn values_of(page: &Page, has_levels: bool) -> Option<&[u8]> {
    let start = match page {
        Page::DataPage {
            buf,
            num_values,
            def_level_encoding,
            ..
        } if has_levels => {
            match def_level_encoding {
                Encoding::RLE => {
                    let length = u32::from_le_bytes(*buf.first_chunk()?);
                    usize::try_from(length).ok()?.checked_add(4)?
                }
                // one bit per level
                _ => usize::try_from(*num_values).ok()?.div_ceil(8),
            }
        }
        Page::DataPageV2 {
            def_levels_byte_len,
            rep_levels_byte_len,
            ..
        } => usize::try_from(def_levels_byte_len.checked_add(*rep_levels_byte_len)?).ok()?,
        _ => 0,
    };
    page.buffer().get(start..)
}

/// Numbers in the encoding DELTA_BINARY_PACKED: blocks of differences minus the smallest difference of the block, packed in bits.
struct Lengths<'a> {
    bytes: &'a [u8],
    /// Where the unread part starts.
    at: usize,
    n_values: u64,
    first: i32,
    block_size: u64,
    minis_per_block: usize,
}

impl<'a> Lengths<'a> {
    /// Reads the header. `None` if it is damaged.
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let mut lengths = Self {
            bytes,
            at: 0,
            n_values: 0,
            first: 0,
            block_size: 0,
            minis_per_block: 0,
        };
        lengths.block_size = lengths.varint()?;
        lengths.minis_per_block = usize::try_from(lengths.varint()?).ok()?;
        lengths.n_values = lengths.varint()?;
        lengths.first = i32::try_from(lengths.zigzag()?).ok()?;
        // the library refuses these, too
        let minis = lengths.minis_per_block as u64;
        let is_sound = lengths.block_size > 0
            && minis > 0
            && lengths.block_size.is_multiple_of(128)
            && lengths.block_size.is_multiple_of(minis)
            && (lengths.block_size / minis).is_multiple_of(32);
        is_sound.then_some(lengths)
    }

    /// Fails when there are more numbers than are allowed for a page.
    fn check_count(&self, limits: GuardLimits) -> Result<()> {
        if self.n_values > limits.page_texts {
            return Err(invalid(format!(
                "a page claims {} texts; at most {} can be read",
                self.n_values, limits.page_texts
            )));
        }
        Ok(())
    }

    /// Reads the numbers, whose count must have been checked, and sums those above 0. `None` if they are damaged.
    fn sum(&mut self) -> Option<u64> {
        if self.n_values == 0 {
            return Some(0);
        }
        let per_mini = self.block_size / self.minis_per_block as u64;
        let mut value = self.first;
        let mut sum = u64::try_from(value).unwrap_or(0);
        let mut left = self.n_values - 1;
        while left > 0 {
            let least = i32::try_from(self.zigzag()?).ok()?;
            let widths = self.take(self.minis_per_block)?;
            for &width in widths {
                if left == 0 {
                    // an unused mini-block has no bytes, whatever its width
                    break;
                }
                if width > 32 {
                    return None;
                }
                let n_bytes = u64::from(width).checked_mul(per_mini)? / 8;
                // the library does not need the end of the last mini-block
                let rest = self.bytes.len() - self.at;
                let mini = self.take(usize::try_from(n_bytes).ok()?.min(rest))?;
                let n = left.min(per_mini);
                for index in 0..n {
                    let delta = bits(mini, index * u64::from(width), width)?;
                    value = value.wrapping_add(least).wrapping_add(delta as i32);
                    sum = sum.saturating_add(u64::try_from(value).unwrap_or(0));
                }
                left -= n;
            }
        }
        Some(sum)
    }

    fn take(&mut self, n_bytes: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(n_bytes)?)?;
        self.at += n_bytes;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn zigzag(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }
}

/// The number in `width` bits, at most 32, from a bit on, lowest bit first.
fn bits(bytes: &[u8], start: u64, width: u8) -> Option<u32> {
    let first = usize::try_from(start / 8).ok()?;
    let end = usize::try_from((start + u64::from(width)).div_ceil(8)).ok()?;
    let mut word = [0; 8];
    let held = bytes.get(first..end)?;
    word[..held.len()].copy_from_slice(held);
    let word = u64::from_le_bytes(word) >> (start % 8);
    Some((word & ((1 << width) - 1)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_the_examples_of_the_format() {
        let rising = [0x80, 1, 4, 5, 2, 2, 0, 0, 0, 0];
        let falling = [
            0x80, 1, 4, 8, 14, 3, 2, 0, 0, 0, 0xc0, 0x3f, 0, 0, 0, 0, 0, 0,
        ];
        for (bytes, n_values, sum) in [(&rising[..], 5, 15), (&falling, 8, 30)] {
            let mut lengths = Lengths::of(bytes).expect("a sound header");
            assert_eq!(lengths.n_values, n_values);
            assert_eq!(lengths.sum(), Some(sum));
            assert_eq!(lengths.at, bytes.len());
            let cut = &bytes[..bytes.len() - 9];
            assert!(Lengths::of(cut).is_none_or(|mut lengths| lengths.sum().is_none()));
        }
        assert!(Lengths::of(&[0, 1, 4, 0]).is_none(), "blocks of no values");
        assert!(Lengths::of(&[0x80, 1, 0, 4, 0]).is_none(), "no mini-blocks");
    }
}
