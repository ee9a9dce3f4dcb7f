//! The parameters of the histograms.

use linfa::ParamGuard;
use ref_cast::{RefCastCustom, ref_cast_custom};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, reason};

/// The number of bins when none is given, as in PyOD.
pub const DEFAULT_N_BINS: u32 = 10;

/// The most bins that may be asked for.
pub const MAX_N_BINS: u32 = 4096;

/// The most bins that are chosen when none are asked for: the time that it takes to choose grows with their square.
pub const MAX_AUTO_BINS: u32 = 1024;

/// The regulariser when none is given, as in PyOD.
pub const DEFAULT_ALPHA: f64 = 0.1;

/// The tolerance when none is given, as in PyOD.
pub const DEFAULT_TOL: f64 = 0.5;

/// How many bins a histogram has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NBins {
    /// As many as suit each feature, after Birgé and Rozenholc, "How many bins should be put in a regular histogram" (2006), and at
    /// most [`MAX_AUTO_BINS`].
    Auto,
    /// So many for each feature: 2 to [`MAX_N_BINS`].
    Count(u32),
}

/// The parameters of [`Hbos`](super::Hbos).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HbosParams {
    /// How many bins the histogram of each feature has.
    pub n_bins: NBins,
    /// Added to each density, so that an empty bin has a logarithm: greater than 0, at most 1.
    pub alpha: f64,
    /// How far outside the outermost bin a value may lie and still count as in it: a fraction of the width of that bin, 0 to
    /// 1. A value farther out counts as in the emptiest bin.
    pub tol: f64,
}

impl Default for HbosParams {
    fn default() -> Self {
        Self {
            n_bins: NBins::Count(DEFAULT_N_BINS),
            alpha: DEFAULT_ALPHA,
            tol: DEFAULT_TOL,
        }
    }
}

/// Checked [`HbosParams`].
#[derive(Debug, Clone, PartialEq, RefCastCustom)]
#[repr(transparent)]
pub struct HbosValidParams(pub(super) HbosParams);

impl ParamGuard for HbosParams {
    type Checked = HbosValidParams;
    type Error = Error;

    fn check_ref(&self) -> Result<&Self::Checked> {
        let &Self { n_bins, alpha, tol } = self;
        if let NBins::Count(count) = n_bins
            && !(2..=MAX_N_BINS).contains(&count)
        {
            let message =
                format!("there are to be {count} bins; give from 2 to {MAX_N_BINS}, or auto");
            return Err(invalid("n_bins", message));
        }
        if !(alpha > 0.0 && alpha <= 1.0) {
            let message = format!("alpha is {alpha:?}; it must be greater than 0 and at most 1");
            return Err(invalid("alpha", message));
        }
        if !(0.0..=1.0).contains(&tol) {
            let message = format!("tol is {tol:?}; it must be from 0 to 1");
            return Err(invalid("tol", message));
        }
        Ok(HbosValidParams::trust(self))
    }

    fn check(self) -> Result<Self::Checked> {
        self.check_ref()?;
        Ok(HbosValidParams(self))
    }
}

impl HbosValidParams {
    #[ref_cast_custom]
    fn trust(params: &HbosParams) -> &Self;
}

fn invalid(field: &str, message: String) -> Error {
    Error::new(reason::INVALID_PARAMETER, message).at(field)
}
