//! The parameters of the histograms.

use serde::{Deserialize, Serialize};

use crate::detector::params::params;
use crate::error::{Error, Result, reason};

/// The default number of bins, as in PyOD.
pub const DEFAULT_N_BINS: u32 = 10;

/// The maximum number of bins.
pub const MAX_N_BINS: u32 = 4096;

/// The maximum number of automatic bins: choosing takes time quadratic in it.
pub const MAX_AUTO_BINS: u32 = 1024;

/// The default regulariser, as in PyOD.
pub const DEFAULT_ALPHA: f64 = 0.1;

/// The default tolerance, as in PyOD.
pub const DEFAULT_TOL: f64 = 0.5;

/// How many bins a histogram has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NBins {
    /// Chosen for each feature as in Birgé and Rozenholc, "How many bins should be put in a regular histogram" (2006); at most
    /// [`MAX_AUTO_BINS`].
    Auto,
    /// This many for each feature: 2 to [`MAX_N_BINS`].
    Count(u32),
}

params! {
    /// The parameters of [`Hbos`](super::Hbos).
    HbosParams => HbosValidParams {
        /// How many bins the histogram of each feature has.
        n_bins, with_n_bins: NBins = NBins::Count(DEFAULT_N_BINS),
        /// Added to each density, so that an empty bin has a logarithm: greater than 0, at most 1.
        alpha, with_alpha: f64 = DEFAULT_ALPHA,
        /// How far outside the outermost bin a value may lie and still count as in it: a fraction of the width of that bin, 0 to
        /// 1. A value farther out counts as in the emptiest bin.
        tol, with_tol: f64 = DEFAULT_TOL,
    }
}

impl HbosValidParams {
    fn check_values(&self) -> Result<()> {
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
        Ok(())
    }
}

fn invalid(field: &str, message: String) -> Error {
    Error::new(reason::INVALID_PARAMETER, message).at(field)
}
