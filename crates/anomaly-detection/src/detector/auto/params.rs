//! What may be asked of an auto detector.

use linfa::ParamGuard;
use ref_cast::{RefCastCustom, ref_cast_custom};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The parameters of an [`Auto`](super::Auto), unchecked. [`ParamGuard::check`] makes them usable.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AutoParams {
    /// The seed of all random choices. Default 0.
    pub random_state: u64,
}

/// Checked [`AutoParams`].
#[derive(Debug, Clone, PartialEq, RefCastCustom)]
#[repr(transparent)]
pub struct AutoValidParams(AutoParams);

impl AutoValidParams {
    #[ref_cast_custom]
    fn trust(params: &AutoParams) -> &Self;

    /// The parameters.
    pub fn params(&self) -> &AutoParams {
        &self.0
    }
}

impl ParamGuard for AutoParams {
    type Checked = AutoValidParams;
    type Error = Error;

    fn check_ref(&self) -> Result<&Self::Checked> {
        Ok(AutoValidParams::trust(self))
    }

    fn check(self) -> Result<Self::Checked> {
        Ok(AutoValidParams(self))
    }
}
