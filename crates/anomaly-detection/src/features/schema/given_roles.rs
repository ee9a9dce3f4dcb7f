//! The roles that a request gives to the columns of a table.

use std::collections::HashMap;

use crate::error::{Error, Result, reason};
use crate::features::names::nearest_hint;
use crate::features::roles::{Role, Roles};
use crate::table::shortened;

/// The role of each column as far as it is known.
pub(super) struct GivenRoles<'a> {
    names: &'a [String],
    places: HashMap<&'a str, usize>,
    /// The column that holds the ids of the rows, which is not among the names.
    id_column: Option<&'a str>,
    roles: Vec<Option<Role>>,
    /// Whether the request names the column as a feature or the target.
    is_feature: Vec<bool>,
}

impl<'a> GivenRoles<'a> {
    /// The roles that a request gives. `id_column` holds the ids of the rows and is not among the names.
    ///
    /// # Errors
    /// Fails when a column that is given a role does not exist or is given two.
    pub(super) fn new(
        names: &'a [String],
        id_column: Option<&'a str>,
        roles: &Roles,
    ) -> Result<Self> {
        let mut given = Self {
            names,
            places: names.iter().map(String::as_str).zip(0..).collect(),
            id_column,
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
                given.give(field, name, role)?;
            }
        }
        for name in &roles.ignored {
            given.give("ignore_columns", name, Role::Ignored)?;
        }
        Ok(given)
    }

    /// The index of a column.
    ///
    /// # Errors
    /// [`reason::SCHEMA_MISMATCH`] at the field, naming the nearest column, when there is no column of this name.
    pub(super) fn find(&self, field: &str, name: &str) -> Result<usize> {
        self.places.get(name).copied().ok_or_else(|| {
            let message = match self.id_column == Some(name) {
                true => format!(
                    "the column {} holds the row ids, so it has no other role",
                    shortened(name)
                ),
                false => format!(
                    "there is no column {} for {field}{}",
                    shortened(name),
                    nearest_hint(name, self.names)
                ),
            };
            Error::new(reason::SCHEMA_MISMATCH, message).at(field)
        })
    }

    fn give(&mut self, field: &str, name: &str, role: Role) -> Result<()> {
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

    /// Sets the role of a column that has none, or has this one already.
    pub(super) fn set(&mut self, column: usize, role: Role) {
        self.roles[column] = Some(role);
    }

    /// The columns that the request does not mention.
    pub(super) fn free(&self) -> Vec<usize> {
        let is_free = |column: &usize| self.roles[*column].is_none() && !self.is_feature[*column];
        (0..self.names.len()).filter(is_free).collect()
    }

    /// The role of each column; `None` for a feature. If the request lists features, columns without a role are ignored.
    pub(super) fn finish(mut self, features_are_listed: bool) -> Vec<Option<Role>> {
        if features_are_listed {
            for (role, is_feature) in self.roles.iter_mut().zip(&self.is_feature) {
                if role.is_none() && !is_feature {
                    *role = Some(Role::Ignored);
                }
            }
        }
        self.roles
    }
}
