//! The columns of a run: their names, order, roles and types.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::names::{check_names, nearest_hint};
use super::roles::{FeatureKind, Role, Roles};
use super::time_source::TimeSource;
use crate::error::{Error, Reason, Result};
use crate::table::{ColumnType, Table, shortened};

/// The most columns of a training table: a model holds far more of each than a row does.
pub(super) const MAX_COLUMNS: usize = 1 << 16;

/// The columns of the training table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    features: Vec<String>,
    /// What each feature is; empty when all are numbers.
    kinds: Vec<FeatureKind>,
    /// The index of the target among the features.
    target: Option<usize>,
    /// The columns that are no features, in the order of the training table.
    others: Vec<OtherColumn>,
    /// The form of the time column, if there is one.
    time: Option<TimeSource>,
}

/// A column that is no feature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherColumn {
    /// Its name.
    pub name: String,
    /// Its index among all columns of the training table.
    pub index: usize,
    /// What it is for.
    pub role: Role,
}

impl Schema {
    /// The schema of a training table. Columns without names are called `f0`, `f1`, ….
    ///
    /// Without a time column in the roles, one is looked for: the first that holds points in time, else the first whose texts
    /// are all dates of one form, else the first of numbers that its name says are times.
    ///
    /// Fails when names are empty, repeated or too long, when there are too many, when a column that has a role is not there
    /// or cannot have it, or when there is no feature.
    pub fn learn(table: &Table, roles: &Roles) -> Result<Self> {
        if table.n_columns() > MAX_COLUMNS {
            let message = format!(
                "the records have {} columns; at most {MAX_COLUMNS} can be learned",
                table.n_columns()
            );
            return Err(Error::new(Reason::InvalidRecords, message).at("records"));
        }
        let names = column_names(table);
        check_names(&names)?;
        let mut given = GivenRoles::new(&names, roles)?;
        let time = match &roles.time {
            Some(name) => Some(TimeSource::of(
                table,
                given.find("time_column", name)?,
                name,
            )?),
            None => given.look_for_time(table),
        };
        given.leave_out_the_rest(roles);

        let mut schema = Self {
            features: Vec::new(),
            kinds: Vec::new(),
            target: None,
            others: Vec::new(),
            time,
        };
        let roles_of_columns = given.roles;
        for ((index, name), role) in names.into_iter().enumerate().zip(roles_of_columns) {
            match role {
                Some(role) => schema.others.push(OtherColumn { name, index, role }),
                None => {
                    schema.kinds.push(kind_of(table, index, &name)?);
                    schema.features.push(name);
                }
            }
        }
        if schema.features.is_empty() {
            let message = "the records have no column beside those that are no features";
            return Err(Error::new(Reason::UnusableRows, message).at("records"));
        }
        if schema.kinds.iter().all(|&kind| kind == FeatureKind::Number) {
            schema.kinds.clear();
        }
        if let Some(target) = &roles.target {
            let index = schema.features.iter().position(|name| name == target);
            schema.target = index.filter(|&index| schema.kind(index) == FeatureKind::Number);
            if schema.target.is_none() {
                let message = format!(
                    "the target column {} holds texts, or has another role; a target holds numbers",
                    shortened(target)
                );
                return Err(Error::new(Reason::InvalidField, message).at("target_column"));
            }
        }
        Ok(schema)
    }

    /// A schema of named features of numbers, and no other columns.
    pub fn of_features(features: Vec<String>) -> Result<Self> {
        check_names(&features)?;
        Ok(Self {
            features,
            kinds: Vec::new(),
            target: None,
            others: Vec::new(),
            time: None,
        })
    }

    /// The same schema with more features behind its own, taken from a table that has columns of these names. Columns of times
    /// are not taken.
    pub fn with_features(&self, table: &Table, names: &[String]) -> Result<Self> {
        let mut schema = self.clone();
        let columns = column_names(table);
        let places: HashMap<&String, usize> = columns.iter().zip(0..).collect();
        let mut kinds: Vec<FeatureKind> = (0..self.n_features()).map(|f| self.kind(f)).collect();
        for name in names {
            let column = places.get(name);
            if let Some(Ok(kind)) = column.map(|&column| kind_of(table, column, name)) {
                schema.features.push(name.clone());
                kinds.push(kind);
            }
        }
        check_names(&schema.features)?;
        if schema.features.len() > MAX_COLUMNS {
            let message = format!("the run would have more than {MAX_COLUMNS} features");
            return Err(Error::new(Reason::InvalidRecords, message).at("records"));
        }
        schema.kinds = match kinds.contains(&FeatureKind::Category) {
            true => kinds,
            false => Vec::new(),
        };
        Ok(schema)
    }

    /// The names of the features, in order.
    pub fn features(&self) -> &[String] {
        &self.features
    }

    /// The number of features.
    pub fn n_features(&self) -> usize {
        self.features.len()
    }

    /// What a feature is.
    pub fn kind(&self, feature: usize) -> FeatureKind {
        self.kinds
            .get(feature)
            .copied()
            .unwrap_or(FeatureKind::Number)
    }

    /// Whether each of the features is categorical.
    pub(super) fn is_category(&self) -> impl ExactSizeIterator<Item = bool> {
        (0..self.n_features()).map(|feature| self.kind(feature) == FeatureKind::Category)
    }

    /// Whether all features are numbers.
    pub(super) fn is_all_numbers(&self) -> bool {
        self.kinds.is_empty()
    }

    /// The index of the target among the features, if there is one.
    pub fn target(&self) -> Option<usize> {
        self.target
    }

    /// The columns that are no features, in the order of the training table.
    pub fn others(&self) -> &[OtherColumn] {
        &self.others
    }

    /// The form of the time column, if there is one.
    pub fn time(&self) -> Option<TimeSource> {
        self.time
    }

    /// The column that has a role that at most one has.
    pub fn column_of(&self, role: Role) -> Option<&OtherColumn> {
        self.others.iter().find(|column| column.role == role)
    }

    /// The name of the label column, if there is one.
    pub fn label_column(&self) -> Option<&str> {
        self.column_of(Role::Label)
            .map(|column| column.name.as_str())
    }

    /// Whether a stored schema contradicts itself.
    pub(super) fn is_valid(&self) -> bool {
        let mut names = self.features.clone();
        names.extend(self.others.iter().map(|column| column.name.clone()));
        let n_of = |role: Role| self.others.iter().filter(|c| c.role == role).count();
        let n_features = self.n_features();
        check_names(&names).is_ok()
            && n_features > 0
            && (self.kinds.is_empty() || self.kinds.len() == n_features)
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
    }
}

/// The names of a table's columns: their own, or `f0`, `f1`, ….
pub(super) fn column_names(table: &Table) -> Vec<String> {
    match table.names() {
        Some(names) => names.to_vec(),
        None => (0..table.n_columns())
            .map(|column| format!("f{column}"))
            .collect(),
    }
}

/// What each column is for, as far as it is known; `None` for a feature.
struct GivenRoles<'a> {
    names: &'a [String],
    places: HashMap<&'a str, usize>,
    roles: Vec<Option<Role>>,
    /// Those that were called features.
    is_feature: Vec<bool>,
}

impl<'a> GivenRoles<'a> {
    fn new(names: &'a [String], roles: &Roles) -> Result<Self> {
        let mut given = Self {
            names,
            places: names.iter().map(String::as_str).zip(0..).collect(),
            roles: vec![None; names.len()],
            is_feature: vec![false; names.len()],
        };
        for name in roles.features.iter().chain(&roles.target) {
            let field = match roles.target.as_ref() == Some(name) {
                true => "target_column",
                false => "feature_columns",
            };
            let column = given.find(field, name)?;
            given.is_feature[column] = true;
        }
        let single = [
            (&roles.label, Role::Label, "label_column"),
            (&roles.time, Role::Time, "time_column"),
            (&roles.series, Role::Series, "series_column"),
        ];
        for (name, role, field) in single {
            if let Some(name) = name {
                given.set(field, name, role)?;
            }
        }
        for name in &roles.ignored {
            given.set("ignore_columns", name, Role::Ignored)?;
        }
        Ok(given)
    }

    fn find(&self, field: &str, name: &str) -> Result<usize> {
        self.places.get(name).copied().ok_or_else(|| {
            let what = field.replace('_', " ");
            let message = format!(
                "there is no {what} {}{}",
                shortened(name),
                nearest_hint(name, self.names)
            );
            Error::new(Reason::SchemaMismatch, message).at(field)
        })
    }

    fn set(&mut self, field: &str, name: &str, role: Role) -> Result<()> {
        let column = self.find(field, name)?;
        let has_other = self.roles[column].is_some_and(|other| other != role);
        if has_other || self.is_feature[column] {
            let message = format!(
                "the column {} has two roles; give it one of target or feature, label, time, series and ignored",
                shortened(name)
            );
            return Err(Error::field(field, message));
        }
        self.roles[column] = Some(role);
        Ok(())
    }

    fn look_for_time(&mut self, table: &Table) -> Option<TimeSource> {
        let free = |column: &usize| self.roles[*column].is_none() && !self.is_feature[*column];
        let free: Vec<usize> = (0..self.names.len()).filter(free).collect();
        // clocks before texts before numbers
        let by_type = [ColumnType::Timestamp, ColumnType::Text, ColumnType::Number];
        let found = by_type.into_iter().find_map(|column_type| {
            free.iter()
                .filter(|&&column| table.column_type(column) == column_type)
                .find_map(|&column| {
                    Some((
                        column,
                        TimeSource::detect(table, column, &self.names[column])?,
                    ))
                })
        });
        let (column, source) = found?;
        self.roles[column] = Some(Role::Time);
        Some(source)
    }

    /// Where features are listed, every other column is left out.
    fn leave_out_the_rest(&mut self, roles: &Roles) {
        if roles.features.is_empty() {
            return;
        }
        for (role, is_feature) in self.roles.iter_mut().zip(&self.is_feature) {
            if role.is_none() && !is_feature {
                *role = Some(Role::Ignored);
            }
        }
    }
}

fn kind_of(table: &Table, column: usize, name: &str) -> Result<FeatureKind> {
    match table.column_type(column) {
        ColumnType::Number | ColumnType::Boolean => Ok(FeatureKind::Number),
        ColumnType::Text => Ok(FeatureKind::Category),
        ColumnType::Timestamp => {
            let message = format!(
                "the column {} holds times, which are no feature; name it in time_column, or leave it out by ignore_columns",
                shortened(name)
            );
            Err(Error::new(Reason::UnusableRows, message).at("records"))
        }
    }
}

#[cfg(test)]
mod tests;
