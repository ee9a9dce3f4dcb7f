//! From the columns of a table to the matrix that a detector sees: which columns, what stands in for missing values, and
//! how they are scaled. Training and scoring run the same code, so nothing can differ between them.

use ndarray::{Array2, ArrayView2, CowArray, Ix2};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Reason, Result};

pub mod engineer;
pub mod impute;
pub mod label;
pub mod scale;
pub mod schema;
pub mod time;

pub use impute::{Gaps, Imputer};
pub use label::Label;
pub use scale::{Scale, Scaling};
pub use schema::Schema;

/// The fitted way from aligned columns to a detector's matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Features {
    /// The columns and their roles.
    pub schema: Schema,
    /// What stands in for missing values.
    pub imputer: Imputer,
    /// How values are scaled; `None` leaves them as they are.
    pub scale: Option<Scale>,
}

impl Features {
    /// The number of features.
    pub fn n_features(&self) -> usize {
        self.imputer.n_features()
    }

    /// Imputes and scales a block of rows, n x [`n_features`](Self::n_features), with NaN or infinity where values are
    /// missing. Every value of the result is finite. Borrows the rows when there is nothing to do.
    pub fn transform<'a>(&self, rows: ArrayView2<'a, f64>) -> CowArray<'a, f64, Ix2> {
        let mut rows = self.imputer.impute(rows);
        if let Some(scale) = &self.scale {
            rows = CowArray::from(scale.apply(rows.into_owned()));
        }
        rows
    }

    /// Scales a block of rows but leaves missing values missing, as NaN.
    pub fn transform_observed<'a>(&self, rows: ArrayView2<'a, f64>) -> CowArray<'a, f64, Ix2> {
        match &self.scale {
            None => CowArray::from(rows),
            Some(scale) => CowArray::from(scale.apply(rows.to_owned())),
        }
    }

    /// Checks what came from a stored model: every part must have the same number of features and finite values.
    pub fn validate(&self) -> Result<()> {
        let n = self.schema.n_features();
        let scale_fits = self.scale.as_ref().is_none_or(|scale| scale.is_valid(n));
        if n > 0 && self.schema.is_valid() && self.imputer.is_valid(n) && scale_fits {
            Ok(())
        } else {
            Err(Error::new(
                Reason::DamagedArtifact,
                "the features of the stored model contradict each other",
            ))
        }
    }
}

/// Turns infinite values into missing ones, in place.
pub fn infinite_to_missing(rows: &mut Array2<f64>) {
    rows.mapv_inplace(|value| if value.is_infinite() { f64::NAN } else { value });
}
