//! Memory that has been asked for and is used again and again.

use super::MoreMemory;
use crate::error::Result;

/// The most bytes that have been asked for so far.
#[derive(Debug, Default)]
pub(super) struct Asked(usize);

impl Asked {
    /// Makes sure that so many bytes have been asked for.
    pub(super) fn reach(&mut self, bytes: usize, more: MoreMemory<'_>) -> Result<()> {
        if bytes > self.0 {
            more(bytes - self.0)?;
            self.0 = bytes;
        }
        Ok(())
    }
}
