//! Limits on what a file may claim.

use crate::table::read::Limits;

/// Limits on each quantity that a file claims and that costs memory or time.
#[derive(Debug, Clone, Copy)]
pub(in crate::table::read::parquet) struct GuardLimits {
    /// The bytes of the footer, which is read as a whole and then takes several times as much memory.
    pub(super) footer_bytes: u64,
    /// The depth of nested groups of columns. Columns that are read are not nested.
    pub(super) groups: usize,
    /// The bytes of a page, decompressed. Writers aim at 1 MiB.
    pub(super) page_bytes: u64,
    /// The texts of a page that stores their lengths separately, with four bytes for each length.
    pub(super) page_texts: u64,
    /// The bytes of all pages, decompressed.
    pub(super) decompressed_bytes: u64,
}

impl GuardLimits {
    const PAGE_BYTES: u64 = 1 << 28;

    /// The limits of a reader.
    pub(in crate::table::read::parquet) fn of(limits: Limits) -> Self {
        Self {
            footer_bytes: 1 << 28,
            groups: 64,
            page_bytes: Self::PAGE_BYTES,
            page_texts: Self::PAGE_BYTES / 4,
            decompressed_bytes: limits.decompressed_bytes,
        }
    }
}
