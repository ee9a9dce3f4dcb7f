//! The parameters of an auto detector.

use crate::detector::params::params;
use crate::error::Result;

params! {
    /// The parameters of an [`Auto`](super::Auto), unchecked.
    AutoParams => AutoValidParams {
        /// The seed of all random choices. Default 0.
        random_state, with_random_state: u64 = 0,
    }
}

impl AutoValidParams {
    fn check_values(&self) -> Result<()> {
        Ok(())
    }
}
