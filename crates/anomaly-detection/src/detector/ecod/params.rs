//! The parameters of ECOD: it has none.

use linfa::ParamGuard;
use ref_cast::{RefCastCustom, ref_cast_custom};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The parameters of [`Ecod`](super::Ecod), which has none.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct EcodParams {}

/// Checked [`EcodParams`].
#[derive(Debug, Clone, PartialEq, RefCastCustom)]
#[repr(transparent)]
pub struct EcodValidParams(EcodParams);

impl ParamGuard for EcodParams {
    type Checked = EcodValidParams;
    type Error = Error;

    fn check_ref(&self) -> Result<&Self::Checked> {
        Ok(EcodValidParams::trust(self))
    }

    fn check(self) -> Result<Self::Checked> {
        Ok(EcodValidParams(self))
    }
}

impl EcodValidParams {
    #[ref_cast_custom]
    fn trust(params: &EcodParams) -> &Self;
}
