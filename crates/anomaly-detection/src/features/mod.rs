//! From the columns of a table to the matrix that a detector sees: column roles, feature engineering, imputation, encoding of
//! categories and scaling. Training and scoring run the same code, so that they cannot differ.

use std::ops::Range;

use ndarray::{Array2, ArrayView2, CowArray, Ix2};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, reason};

pub mod align;
mod category_counts;
mod column_order;
pub mod encode;
pub mod engineer;
pub mod engineering;
pub mod impute;
pub mod label;
mod names;
mod order;
pub mod roles;
pub mod scale;
pub mod schema;
pub mod time;
pub mod unknown;
pub mod vocabulary;

pub use align::{Aligned, Matching, Purpose};
pub(crate) use category_counts::CategoryCounts;
pub use encode::{DEFAULT_MAX_ONE_HOT, Encoder, Encoding};
pub use engineer::{Builder, EngineeringParams, TimeFeatures};
pub use engineering::{Engineering, EngineeringSpec};
pub use impute::{Gaps, Imputation, Imputer};
pub use label::Label;
pub use roles::{FeatureKind, FeaturePolicy, Role, Roles};
pub use scale::{Scale, Scaling};
pub use schema::{Schema, SchemaDraft};
pub use time::{TimeSource, are_dates};
pub use unknown::UnknownFeature;
pub use vocabulary::{Categories, Vocabulary};

/// The fitted transformation of the columns of a table to a detector's matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Features {
    /// The columns and their roles.
    pub schema: Schema,
    /// How tables may differ from the schema.
    pub policy: FeaturePolicy,
    /// The texts of categorical features.
    pub vocabulary: Vocabulary,
    /// The features that are engineered from earlier rows and from the time of a row.
    pub engineering: Option<Engineering>,
    /// The values that are imputed for missing ones.
    pub imputer: Imputer,
    /// How categories become numbers.
    pub encoder: Encoder,
    /// How values are scaled; `None` if they are not.
    pub scale: Option<Scale>,
}

impl Features {
    /// How each feature is encoded, with its texts if it is categorical, in the order shown; then the same for the engineered
    /// features.
    pub fn encodings(&self) -> Vec<(&Encoding, Option<&Categories>)> {
        let encodings = self.encoder.encodings().iter().enumerate();
        let encodings = encodings.map(|(place, encoding)| (encoding, self.vocabulary.of(place)));
        self.schema.restore_order(&encodings.collect::<Vec<_>>())
    }

    /// The indices of the detector's columns in the order in which their features are shown.
    pub fn shown_columns(&self) -> Vec<usize> {
        let ranges: Vec<Range<usize>> = self.encoder.ranges().collect();
        let shown = self.schema.restore_order(&ranges);
        shown.into_iter().flatten().collect()
    }

    /// The number of columns that the detector sees.
    pub fn n_features(&self) -> usize {
        self.encoder.n_columns()
    }

    /// The number of values of a row before it is encoded: its features and its engineered features.
    pub fn n_raw(&self) -> usize {
        self.imputer.n_features()
    }

    /// The names of these values, in the order in which the detector sees them.
    pub fn raw_names(&self) -> Vec<String> {
        raw_names(&self.schema, self.engineering.as_ref())
    }

    /// The names of the columns that the detector sees, in its order.
    pub fn names(&self) -> Vec<String> {
        self.encoder.names(&self.raw_names(), &self.vocabulary)
    }

    /// How a table is matched to the schema for this purpose.
    pub fn matching<'a>(&'a self, purpose: Purpose) -> Matching<'a> {
        Matching {
            purpose,
            policy: self.policy,
            needs_history: self.engineering.is_some(),
            vocabulary: &self.vocabulary,
        }
    }

    /// Imputes, encodes and scales a chunk of rows, n x [`n_raw`](Self::n_raw), with NaN or infinity where values are missing.
    /// Every value of the result is finite. Borrows the rows when there is nothing to do.
    pub fn transform<'a>(&self, rows: ArrayView2<'a, f64>) -> CowArray<'a, f64, Ix2> {
        self.scaled(self.encoder.encode(self.imputer.impute(rows)))
    }

    /// Encodes and scales a chunk of rows but leaves missing values missing, as NaN.
    pub fn transform_observed<'a>(&self, rows: ArrayView2<'a, f64>) -> CowArray<'a, f64, Ix2> {
        self.scaled(self.encoder.encode(CowArray::from(rows)))
    }

    /// Encodes a chunk of rows but leaves values unscaled and missing ones missing.
    pub fn transform_unscaled<'a>(&self, rows: ArrayView2<'a, f64>) -> CowArray<'a, f64, Ix2> {
        self.encoder.encode(CowArray::from(rows))
    }

    fn scaled<'a>(&self, rows: CowArray<'a, f64, Ix2>) -> CowArray<'a, f64, Ix2> {
        match &self.scale {
            None => rows,
            Some(scale) => CowArray::from(scale.apply(rows.into_owned())),
        }
    }

    /// The imputed values, encoded as the detector's columns but not scaled.
    pub fn fill(&self) -> Vec<f64> {
        let fill = ArrayView2::from_shape((1, self.n_raw()), self.imputer.values());
        fill.map_or(Vec::new(), |fill| {
            self.encoder
                .encode(CowArray::from(fill))
                .iter()
                .copied()
                .collect()
        })
    }

    /// Checks the features of a stored model: all parts must have the same number of features, and all numbers must be finite.
    pub fn validate(&self) -> Result<()> {
        let contradiction = || {
            Error::new(
                reason::DAMAGED_ARTIFACT,
                "the features of the stored model contradict each other",
            )
        };
        if !self.schema.is_valid() || !self.vocabulary.is_valid(&self.schema) {
            return Err(contradiction());
        }
        let mut n_raw = self.schema.n_features();
        if let Some(engineering) = &self.engineering {
            engineering.validate(&self.schema)?;
            n_raw += engineering.engineer().n_features();
        }
        let fits = self.imputer.is_valid(n_raw)
            && self.encoder.is_valid(n_raw, &self.vocabulary)
            && self
                .scale
                .as_ref()
                .is_none_or(|scale| scale.is_valid(self.encoder.n_columns()));
        if fits { Ok(()) } else { Err(contradiction()) }
    }
}

/// The names of a row's values in the order in which a detector sees them: its features and its engineered features.
pub(crate) fn raw_names(schema: &Schema, engineering: Option<&Engineering>) -> Vec<String> {
    let mut names: Vec<String> = schema.ordered_features().cloned().collect();
    names.extend(
        engineering
            .iter()
            .flat_map(|engineering| engineering.engineer().names()),
    );
    names
}

/// Turns infinite values into missing ones, in place.
pub(crate) fn infinite_to_missing(rows: &mut Array2<f64>) {
    rows.mapv_inplace(|value| if value.is_infinite() { f64::NAN } else { value });
}
