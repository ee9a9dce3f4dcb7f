//! The roles and types of the columns of a training table.

use serde::{Deserialize, Serialize};

/// The roles of columns as a caller gives them, by the names of the columns of the training table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Roles {
    /// The feature that lags and rolling statistics are engineered from.
    pub target: Option<String>,
    /// The features; empty for every column without another role.
    pub features: Vec<String>,
    /// The column that holds labels.
    pub label: Option<String>,
    /// The column that holds the time of each row; `None` to search for one.
    pub time: Option<String>,
    /// The column that says which series each row belongs to.
    pub series: Option<String>,
    /// Columns to leave out.
    pub ignored: Vec<String>,
}

/// The role of a column that is not a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It says which rows are anomalies.
    Label,
    /// It holds the time of each row.
    Time,
    /// It says which series each row belongs to.
    Series,
    /// It is left out.
    Ignored,
}

/// The type of the values of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureKind {
    /// Numbers, and booleans as 0 and 1.
    Number,
    /// Texts, each of which is a category.
    Category,
}

/// How the columns of a request may differ from those of the training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeaturePolicy {
    /// Not at all.
    #[default]
    Strict,
    /// A feature that is missing counts as missing values, and unknown columns are left out.
    Flexible,
    /// The same, but statistics of unknown columns are kept, and the next update that has them adopts them as features.
    Adaptive,
}
