//! The columns of a run: their names, order, roles and types.

use std::collections::HashMap;

mod draft;
mod given_roles;

pub use draft::SchemaDraft;

use serde::{Deserialize, Serialize};

use super::column_order::ColumnOrder;
use super::names::check_names;
use super::roles::{FeatureKind, Role, Roles};
use super::time::TimeSource;
use crate::error::{Error, Result, reason};
use crate::table::{ColumnType, Table, shortened};

/// The most columns of a training table. A model needs far more memory for a column than a row does.
pub(super) const MAX_COLUMNS: usize = 1 << 16;

/// The columns of the training table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// The names of the features in the order of the training table, and then of those that updates adopted.
    features: Vec<String>,
    /// The kind of each feature; empty if all are numbers.
    kinds: Vec<FeatureKind>,
    /// The order in which a detector sees the features.
    order: ColumnOrder,
    /// The index of the target among the features.
    target: Option<usize>,
    /// The columns that are not features, in the order of the training table.
    others: Vec<OtherColumn>,
    /// The form of the time column, if there is one.
    time: Option<TimeSource>,
    /// The kind of the series column, if there is one.
    series: Option<FeatureKind>,
}

/// A column that is not a feature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherColumn {
    /// Its name.
    pub name: String,
    /// Its index among all columns of the training table.
    pub index: usize,
    /// Its role.
    pub role: Role,
}

impl Schema {
    /// The schema of a training table. Columns without names are called `f0`, `f1`, ….
    ///
    /// If the roles name no time column, one is searched for, as described at [`SchemaDraft`].
    ///
    /// # Errors
    /// Fails when names are empty, repeated or too long, when there are too many columns, when a column that is given a role does
    /// not exist or cannot have it, and when there is no feature.
    pub fn learn(table: &Table, roles: &Roles) -> Result<Self> {
        let mut draft = SchemaDraft::new(table, roles)?;
        draft.add(table)?;
        draft.finish()
    }

    /// A schema of named numeric features, which a detector sees in this order, and no other columns.
    pub fn of_features(features: Vec<String>) -> Result<Self> {
        check_names(&features)?;
        Ok(Self {
            features,
            kinds: Vec::new(),
            order: ColumnOrder::default(),
            target: None,
            others: Vec::new(),
            time: None,
            series: None,
        })
    }

    /// The same schema followed by more features, which are the columns of a table with these names. Columns of times are left
    /// out.
    pub fn with_features(&self, table: &Table, names: &[String]) -> Result<Self> {
        let mut schema = self.clone();
        let columns = table.given_names();
        let places: HashMap<&String, usize> = columns.iter().zip(0..).collect();
        let mut kinds: Vec<FeatureKind> = (0..self.n_features()).map(|f| self.kind(f)).collect();
        for name in names {
            let column = places.get(name);
            if let Some(Ok(kind)) = column.map(|&column| kind_of(table.column_type(column), name)) {
                schema.features.push(name.clone());
                kinds.push(kind);
            }
        }
        check_names(&schema.features)?;
        if schema.features.len() > MAX_COLUMNS {
            let message = format!("the run would have more than {MAX_COLUMNS} features");
            return Err(Error::new(reason::INVALID_RECORDS, message).at("records"));
        }
        schema.order = self.order.widened(self.n_features(), &schema.features);
        schema.kinds = match kinds.contains(&FeatureKind::Category) {
            true => kinds,
            false => Vec::new(),
        };
        Ok(schema)
    }

    /// The names of the features in the order shown, which rows without names have, too: that of the training table, followed by
    /// the features that updates adopted.
    pub fn features(&self) -> &[String] {
        &self.features
    }

    /// The number of features.
    pub fn n_features(&self) -> usize {
        self.features.len()
    }

    /// The kind of a feature.
    pub fn kind(&self, feature: usize) -> FeatureKind {
        self.kinds
            .get(feature)
            .copied()
            .unwrap_or(FeatureKind::Number)
    }

    /// The names of the features, in the order in which a detector sees them.
    pub fn ordered_features(&self) -> impl ExactSizeIterator<Item = &String> {
        (0..self.n_features()).map(|place| &self.features[self.feature_at(place)])
    }

    /// The name of the feature at a place in the order in which a detector sees them.
    pub(super) fn name_at(&self, place: usize) -> Option<&String> {
        self.features.get(self.feature_at(place))
    }

    /// For each feature its place in the order in which a detector sees them.
    pub fn places(&self) -> Vec<usize> {
        self.restore_order(&(0..self.n_features()).collect::<Vec<_>>())
    }

    /// Reorders one item per feature from the order in which a detector sees them to the order shown. Items of engineered
    /// features may follow and stay where they are.
    pub(super) fn restore_order<T: Clone>(&self, places: &[T]) -> Vec<T> {
        self.order.restore(places)
    }

    /// Reorders one item per feature from the order shown to that in which a detector sees them.
    pub(super) fn arrange<T: Copy>(&self, shown: Vec<T>) -> Vec<T> {
        self.order.arrange(shown)
    }

    /// The index in the order shown of the feature at a place in the order in which a detector sees them.
    pub(super) fn feature_at(&self, place: usize) -> usize {
        self.order.shown_at(place)
    }

    /// Whether each feature is categorical, in the order in which a detector sees them.
    pub(super) fn is_category(&self) -> impl ExactSizeIterator<Item = bool> {
        let kinds = (0..self.n_features()).map(|place| self.kind(self.feature_at(place)));
        kinds.map(|kind| kind == FeatureKind::Category)
    }

    /// Whether all features are numbers.
    pub(super) fn is_all_numbers(&self) -> bool {
        self.kinds.is_empty()
    }

    /// The index of the target among the features, if there is one.
    pub fn target(&self) -> Option<usize> {
        self.target
    }

    /// The columns that are not features, in the order of the training table.
    pub fn others(&self) -> &[OtherColumn] {
        &self.others
    }

    /// The form of the time column, if there is one.
    pub fn time(&self) -> Option<TimeSource> {
        self.time
    }

    /// The kind of the series column, if there is one.
    pub fn series(&self) -> Option<FeatureKind> {
        self.series
    }

    /// The column with a role that at most one column can have.
    pub fn column_of(&self, role: Role) -> Option<&OtherColumn> {
        self.others.iter().find(|column| column.role == role)
    }

    /// The name of the label column, if there is one.
    pub fn label_column(&self) -> Option<&str> {
        self.column_of(Role::Label)
            .map(|column| column.name.as_str())
    }

    /// Whether a stored schema is consistent.
    pub(super) fn is_valid(&self) -> bool {
        let mut names = self.features.clone();
        names.extend(self.others.iter().map(|column| column.name.clone()));
        let n_of = |role: Role| self.others.iter().filter(|c| c.role == role).count();
        let n_features = self.n_features();
        check_names(&names).is_ok()
            && n_features > 0
            && (self.kinds.is_empty() || self.kinds.len() == n_features)
            && self.order.is_valid(n_features)
            && self.target.is_none_or(|target| {
                target < n_features && self.kind(target) == FeatureKind::Number
            })
            && self.others.is_sorted_by(|a, b| a.index < b.index)
            && self
                .others
                .last()
                .is_none_or(|last| last.index < names.len())
            && [Role::Label, Role::Time, Role::Series]
                .into_iter()
                .all(|role| n_of(role) <= 1)
            && self.time.is_some() == (n_of(Role::Time) == 1)
            && self.series.is_some() == (n_of(Role::Series) == 1)
    }
}

/// The kind of a feature, from the type of its column.
///
/// Fails, naming the column, if it holds times.
fn kind_of(column_type: ColumnType, name: &str) -> Result<FeatureKind> {
    match column_type {
        ColumnType::Number | ColumnType::Boolean => Ok(FeatureKind::Number),
        ColumnType::Text => Ok(FeatureKind::Category),
        ColumnType::Timestamp => {
            let message = format!(
                "the column {} holds times, which cannot be a feature; name it in time_column, or leave it out by ignore_columns",
                shortened(name)
            );
            Err(Error::new(reason::UNUSABLE_ROWS, message).at("records"))
        }
    }
}

#[cfg(test)]
pub(in crate::features) mod tests;
