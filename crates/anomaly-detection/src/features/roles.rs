//! What each column of a training table is for.

use serde::{Deserialize, Serialize};

/// The roles of columns, as asked for. Names are those of columns of the training table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Roles {
    /// The feature that lags and rolling statistics are made of.
    pub target: Option<String>,
    /// The features; empty for every column without another role.
    pub features: Vec<String>,
    /// The column that holds labels.
    pub label: Option<String>,
    /// The column that holds the time of each row; `None` to look for one.
    pub time: Option<String>,
    /// The column that says which series each row belongs to.
    pub series: Option<String>,
    /// Columns to leave out.
    pub ignored: Vec<String>,
}

/// What a column is for that is no feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It says which rows are anomalies.
    Label,
    /// It says when each row was.
    Time,
    /// It says which series each row belongs to.
    Series,
    /// It is left out.
    Ignored,
}

/// What the values of a feature are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureKind {
    /// Numbers, and booleans as 0 and 1.
    Number,
    /// Texts, of which each is a category.
    Category,
}

/// How the columns of a request may differ from those of the training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeaturePolicy {
    /// Not at all.
    #[default]
    Strict,
    /// Features that are missing count as missing values, and unknown ones are left out.
    Flexible,
    /// The same, but unknown features are remembered with what is known of them, and learned by the next update that has them.
    Adaptive,
}
