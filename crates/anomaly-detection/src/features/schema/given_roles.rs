//! The roles of columns as a request gives them, found in a table.

use std::collections::HashMap;

use crate::error::{Error, Result, reason};
use crate::features::names::nearest_hint;
use crate::features::roles::{Role, Roles};
use crate::table::shortened;

/// What each column is for, as far as it is known; `None` for a feature.
pub(super) struct GivenRoles<'a> {
    names: &'a [String],
    places: HashMap<&'a str, usize>,
    roles: Vec<Option<Role>>,
    /// Those that were called features.
    is_feature: Vec<bool>,
}

impl<'a> GivenRoles<'a> {
    /// The roles as they were asked for.
    ///
    /// Fails when a column that has a role is not there, or has two.
    pub(super) fn new(names: &'a [String], roles: &Roles) -> Result<Self> {
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
    /// Fails, naming the field and the nearest column, when there is none of this name.
    pub(super) fn find(&self, field: &str, name: &str) -> Result<usize> {
        self.places.get(name).copied().ok_or_else(|| {
            let what = field.replace('_', " ");
            let message = format!(
                "there is no {what} {}{}",
                shortened(name),
                nearest_hint(name, self.names)
            );
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

    /// Sets what a column is for that nothing was said of, or the very same.
    pub(super) fn set(&mut self, column: usize, role: Role) {
        self.roles[column] = Some(role);
    }

    /// The columns that nothing was said of.
    pub(super) fn free(&self) -> Vec<usize> {
        let is_free = |column: &usize| self.roles[*column].is_none() && !self.is_feature[*column];
        (0..self.names.len()).filter(is_free).collect()
    }

    /// What each column is for; `None` for a feature. Where features are listed, every other column is left out.
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
