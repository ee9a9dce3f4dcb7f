//! Exact nearest neighbours, for the detectors that score by them.

use crate::error::{Error, Reason, Result};

/// The most neighbours that a detector looks at.
pub(super) const MAX_NEIGHBORS: usize = 10_000;

/// Checks a number of neighbours that was asked for.
pub(super) fn check_n_neighbors(n_neighbors: usize) -> Result<()> {
    if !(1..=MAX_NEIGHBORS).contains(&n_neighbors) {
        let message = format!("n_neighbors is {n_neighbors}; it must be from 1 to {MAX_NEIGHBORS}");
        return Err(Error::new(Reason::InvalidParameter, message).at("n_neighbors"));
    }
    Ok(())
}
