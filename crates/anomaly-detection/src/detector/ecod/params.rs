//! The parameters of ECOD: it has none.

use crate::detector::params::params;
use crate::error::Result;

params! {
    /// The parameters of [`Ecod`](super::Ecod), which has none.
    EcodParams => EcodValidParams {}
}

impl EcodValidParams {
    fn check_values(&self) -> Result<()> {
        Ok(())
    }
}
