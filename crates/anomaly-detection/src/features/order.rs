//! Finds the columns of a schema in a table, by name or by position.

use std::collections::{HashMap, HashSet};

use super::align::Matching;
use super::names::{check_names_of, listed, nearest};
use super::roles::{FeaturePolicy, Role};
use super::schema::Schema;
use crate::error::{Error, Place, Result, reason};
use crate::table::{Table, shortened};

/// The positions of a schema's columns in a table.
pub(super) struct Order {
    /// For each feature, in the order shown, the index of its column; `None` if the columns are the features in this order.
    pub(super) features: Option<Vec<Option<usize>>>,
    /// For each of the schema's other columns its index.
    others: Vec<Option<usize>>,
    /// The names of the columns that the schema does not know.
    pub(super) unknown: Vec<String>,
}

impl Order {
    fn identity() -> Self {
        Self {
            features: None,
            others: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// The index of the column with a role.
    pub(super) fn place(&self, schema: &Schema, role: Role) -> Option<usize> {
        let other = schema
            .others()
            .iter()
            .position(|column| column.role == role)?;
        self.others.get(other).copied().flatten()
    }
}

impl Schema {
    /// The index of each feature's column in a table, in the order in which a detector sees the features; `None` if it is
    /// missing. Other columns are not checked.
    pub(super) fn columns_in(&self, table: &Table) -> Vec<Option<usize>> {
        let shown = match table.names() {
            Some(names) => {
                let places: HashMap<&String, usize> = names.iter().zip(0..).collect();
                let features = self.features().iter();
                features.map(|name| places.get(name).copied()).collect()
            }
            None => match self.by_position(table.n_columns(), &[]) {
                Ok(order) => order
                    .features
                    .unwrap_or_else(|| (0..self.n_features()).map(Some).collect()),
                // matching the columns reports the error
                Err(_) => vec![None; self.n_features()],
            },
        };
        self.arrange(shown)
    }

    /// The positions of the columns in rows of `n_columns` values without names: the features alone, or together with columns
    /// that had other roles at training, in the order of the training table.
    ///
    /// # Errors
    /// [`reason::SCHEMA_MISMATCH`] when no choice of these columns has so many, and when several do and disagree on the
    /// features or on a `needed` column.
    pub(super) fn by_position(&self, n_columns: usize, needed: &[Role]) -> Result<Order> {
        // the choices: the features alone, or all columns of the training without labels and ignored columns, without one of
        // these, or without any exception
        let mut without: Vec<&[Role]> = vec![
            &[Role::Label, Role::Time, Role::Series, Role::Ignored],
            &[Role::Label, Role::Ignored],
            &[Role::Label],
            &[Role::Ignored],
            &[],
        ];
        if needed.contains(&Role::Label) && !needed.contains(&Role::Time) {
            without.push(&[Role::Time, Role::Series, Role::Ignored]);
        }
        let n_features = self.n_features();
        let n_with = |without: &[Role]| {
            let others = self.others().iter();
            n_features
                + others
                    .filter(|other| !without.contains(&other.role))
                    .count()
        };
        let all = n_with(&[]);
        let mut fitting = without
            .into_iter()
            .filter(|without| n_with(without) == n_columns)
            .map(|without| self.order_without(without));
        let Some(order) = fitting.next() else {
            let or_all = match all > n_features {
                true => format!(" and was trained on {all} columns"),
                false => String::new(),
            };
            return Err(mismatch(format!(
                "the rows have {n_columns} values, the model has {n_features} features{or_all}"
            )));
        };
        let agrees = |other: &Order| {
            let place = |order: &Order, &role: &Role| order.place(self, role);
            other.features == order.features
                && needed
                    .iter()
                    .all(|role| place(other, role) == place(&order, role))
        };
        if !fitting.all(|other| agrees(&other)) {
            return Err(mismatch(format!(
                "the rows have {n_columns} values without names, which may be different columns of the {all} that the model was \
                 trained on; give names, the {n_features} features alone, or all columns"
            )));
        }
        if n_columns == n_features {
            return Ok(Order::identity());
        }
        Ok(order)
    }

    /// The positions if the columns of the training come in their order, except those with some roles.
    fn order_without(&self, roles: &[Role]) -> Order {
        let mut order = Order {
            features: Some(Vec::with_capacity(self.n_features())),
            others: vec![None; self.others().len()],
            unknown: Vec::new(),
        };
        let mut place = 0;
        let mut others = self.others().iter().enumerate().peekable();
        for index in 0..self.n_features() + self.others().len() {
            match others.next_if(|(_, column)| column.index == index) {
                Some((_, column)) if roles.contains(&column.role) => continue,
                Some((other, _)) => order.others[other] = Some(place),
                None => order.features.get_or_insert_default().push(Some(place)),
            }
            place += 1;
        }
        order
    }

    /// Checks that the rows have the time and the series that engineered features need.
    pub(super) fn check_history(&self, order: &Order) -> Result<()> {
        let needed = [Role::Time, Role::Series].into_iter().filter_map(|role| {
            let column = self.column_of(role)?;
            order.place(self, role).is_none().then_some(column)
        });
        match needed.into_iter().next() {
            None => Ok(()),
            Some(column) => Err(mismatch(format!(
                "the rows lack the column {}, which engineered features need; give all columns of the training but the label",
                shortened(&column.name)
            ))),
        }
    }

    pub(super) fn by_name(
        &self,
        table: &Table,
        names: &[String],
        how: &Matching<'_>,
    ) -> Result<Order> {
        let needs = |role: Role| how.needs_history && matches!(role, Role::Time | Role::Series);
        if names == self.features() && !self.others().iter().any(|column| needs(column.role)) {
            return Ok(Order::identity());
        }
        check_names_of(table, names)?;
        let columns: HashMap<&str, usize> = names
            .iter()
            .enumerate()
            .map(|(i, name)| (name.as_str(), i))
            .collect();
        let find = |name: &String| columns.get(name.as_str()).copied();
        let order = Order {
            features: Some(self.features().iter().map(find).collect()),
            others: self
                .others()
                .iter()
                .map(|column| find(&column.name))
                .collect(),
            unknown: self.unknown(names),
        };
        if how.policy == FeaturePolicy::Strict {
            let features = self.features().iter().zip(order.features.iter().flatten());
            let others = self.others().iter().zip(&order.others);
            let others = others.filter(|(column, _)| needs(column.role));
            let missing: Vec<&str> = features
                .map(|(name, place)| (name.as_str(), place))
                .chain(others.map(|(column, place)| (column.name.as_str(), place)))
                .filter(|(_, place)| place.is_none())
                .map(|(name, _)| name)
                .collect();
            if !(missing.is_empty() && order.unknown.is_empty()) {
                let error = self.name_mismatch(&missing, &order.unknown);
                return Err(match order.unknown.first().and_then(find) {
                    None => error,
                    Some(column) => error.in_table(Place::Column(table.placed_column(column))),
                });
            }
            return Ok(order);
        }
        if !order.features.iter().flatten().any(Option::is_some) {
            return Err(self.name_mismatch(
                &self
                    .features()
                    .iter()
                    .map(String::as_str)
                    .collect::<Vec<_>>(),
                &order.unknown,
            ));
        }
        if how.needs_history {
            // these cannot be imputed: the row would be compared with the past of another series
            self.check_history(&order)?;
        }
        Ok(order)
    }

    /// The names that the schema does not know.
    pub fn unknown(&self, names: &[String]) -> Vec<String> {
        let others = self.others().iter().map(|column| &column.name);
        let known: HashSet<&String> = self.features().iter().chain(others).collect();
        names
            .iter()
            .filter(|name| !known.contains(name))
            .cloned()
            .collect()
    }

    fn name_mismatch(&self, missing: &[&str], unknown: &[String]) -> Error {
        let unknown_names: Vec<&str> = unknown.iter().map(String::as_str).collect();
        let mut parts = Vec::new();
        parts.extend(listed("missing feature", missing, |name| {
            nearest(name, unknown).map(|near| format!(" (given: {})", shortened(near)))
        }));
        parts.extend(listed("unknown feature", &unknown_names, |name| {
            nearest(name, self.features())
                .map(|near| format!(" (nearest known: {})", shortened(near)))
        }));
        // where something is missing, too, a name is more likely misspelt
        if missing.is_empty() {
            parts
                .push("leave unknown columns out, or train with another feature_policy".to_owned());
        }
        mismatch(parts.join("; "))
    }
}

pub(super) fn mismatch(message: String) -> Error {
    Error::new(reason::SCHEMA_MISMATCH, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Roles;

    fn schema(columns: &[&str], roles: &Roles) -> Schema {
        let names = columns.iter().map(|&name| name.to_owned()).collect();
        let values = vec![1.0; columns.len()];
        let table = Table::from_row_major(Some(names), columns.len(), values).expect("a table");
        Schema::learn(&table, roles).expect("a schema")
    }

    fn roles() -> Roles {
        Roles {
            label: Some("bad".to_owned()),
            ignored: vec!["note".to_owned()],
            ..Roles::default()
        }
    }

    #[test]
    fn ambiguous_rows_without_names_are_refused() {
        // three values are a, b and either the ignored column or the label
        let apart = schema(&["note", "a", "bad", "b"], &roles());
        let error = apart.by_position(3, &[]).map(drop).expect_err("ambiguous");
        assert!(
            error.message().contains("may be different columns"),
            "{error}"
        );
        assert!(apart.by_position(2, &[]).is_ok() && apart.by_position(4, &[]).is_ok());

        // here the features are the same either way, but the label is not
        let behind = schema(&["a", "b", "note", "bad"], &roles());
        let order = behind.by_position(3, &[]).expect("the features are clear");
        assert_eq!(order.features, Some(vec![Some(0), Some(1)]));
        assert!(behind.by_position(3, &[Role::Label]).is_err());
        let all = behind.by_position(4, &[Role::Label]).expect("all");
        assert_eq!(all.place(&behind, Role::Label), Some(3));
    }

    #[test]
    fn rows_without_names_may_leave_out_the_times_and_keep_the_label() {
        let roles = Roles {
            time: Some("ts".to_owned()),
            ..roles()
        };
        let names = ["ts", "a", "note", "bad"].map(str::to_owned).to_vec();
        let values = vec![1.7e9, 1.0, 2.0, 0.0];
        let table = Table::from_row_major(Some(names), 4, values).expect("a table");
        let schema = Schema::learn(&table, &roles).expect("a schema");
        // for scoring, two values are the time and a; for learning, they could also be a and the label
        let order = schema.by_position(2, &[]).expect("all but the label");
        assert_eq!(order.features, Some(vec![Some(1)]));
        assert!(schema.by_position(2, &[Role::Label]).is_err());
        let learned = [Role::Label, Role::Time, Role::Series];
        let order = schema.by_position(2, &learned).expect("times are needed");
        assert_eq!(order.place(&schema, Role::Time), Some(0));
        let order = schema
            .by_position(1, &[Role::Label])
            .expect("the feature alone");
        assert_eq!(order.place(&schema, Role::Label), None);
    }
}
