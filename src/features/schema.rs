//! The columns of a run: their names, order and roles, and how the columns of a request are matched to them.

use std::collections::{HashMap, HashSet};

use ndarray::{Array2, Axis};
use serde::{Deserialize, Serialize};

use super::label::{Label, labels_of};
use crate::error::{Error, Reason, Result};
use crate::table::{Table, shortened};

/// The most names that an error message lists.
const MAX_NAMED: usize = 5;

/// The longest name of a column, in bytes. Answers may repeat names row by row.
const MAX_NAME_BYTES: usize = 256;

/// The most columns of a training table: a model holds far more of each than a row does.
const MAX_COLUMNS: usize = 1 << 16;

/// The columns of the training table. Every column but the label is a feature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    features: Vec<String>,
    label: Option<LabelColumn>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct LabelColumn {
    name: String,
    /// Its index among all columns of the training table.
    index: usize,
}

/// A table whose columns have been matched to a schema.
#[derive(Debug, Clone)]
pub struct Aligned {
    /// The values of the features, n x d in the order of the schema, in standard layout.
    pub features: Array2<f64>,
    /// The labels, when the table has the label column and it was asked for.
    pub labels: Option<Vec<Label>>,
}

/// What the rows of a table are for, which decides how it may deviate from the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Labels are read. A row that does not mention a column has a missing value there.
    Learn,
    /// Labels are ignored. Every row must mention every feature, or its score would depend on the rows beside it.
    Score,
}

impl Schema {
    /// The schema of a training table. Columns without names are called `f0`, `f1`, ….
    ///
    /// Fails when names are empty, repeated or too long, when there are too many, when the label column is not there, or
    /// when there is no other column.
    pub fn learn(table: &Table, label_column: Option<&str>) -> Result<Self> {
        if table.n_columns() > MAX_COLUMNS {
            let message = format!(
                "the records have {} columns; at most {MAX_COLUMNS} can be learned",
                table.n_columns()
            );
            return Err(Error::new(Reason::InvalidRecords, message).at("records"));
        }
        let mut features = match table.names() {
            Some(names) => names.to_vec(),
            None => (0..table.n_columns())
                .map(|column| format!("f{column}"))
                .collect(),
        };
        check_names(&features)?;
        let label = match label_column {
            None => None,
            Some(name) => {
                let index = features
                    .iter()
                    .position(|feature| feature == name)
                    .ok_or_else(|| {
                        Error::new(
                            Reason::SchemaMismatch,
                            format!(
                                "there is no label column {}{}",
                                shortened(name),
                                nearest_hint(name, &features)
                            ),
                        )
                        .at("label_column")
                    })?;
                Some(LabelColumn {
                    name: features.remove(index),
                    index,
                })
            }
        };
        if features.is_empty() {
            return Err(Error::new(
                Reason::UnusableRows,
                "the records have no column beside the label",
            )
            .at("records"));
        }
        Ok(Self { features, label })
    }

    /// A schema of named features without labels.
    pub fn of_features(features: Vec<String>) -> Result<Self> {
        check_names(&features)?;
        Ok(Self {
            features,
            label: None,
        })
    }

    /// The names of the features, in order.
    pub fn features(&self) -> &[String] {
        &self.features
    }

    /// The number of features.
    pub fn n_features(&self) -> usize {
        self.features.len()
    }

    /// The name of the label column, if there is one.
    pub fn label_column(&self) -> Option<&str> {
        self.label.as_ref().map(|label| label.name.as_str())
    }

    /// Whether a stored schema contradicts itself.
    pub(super) fn is_valid(&self) -> bool {
        check_names(&self.features).is_ok()
            && self.label.as_ref().is_none_or(|label| {
                label.index <= self.features.len() && !self.features.contains(&label.name)
            })
    }

    /// Matches the columns of a table to the schema: by name in any order, or by position when the table has no names.
    /// The label column may be present or absent.
    ///
    /// Fails, naming columns and the nearest known ones, when a feature is missing, unknown or given twice.
    pub fn align(&self, table: Table, purpose: Purpose) -> Result<Aligned> {
        let order = match table.names() {
            None => self.by_position(table.n_columns())?,
            Some(names) => self.by_name(names)?,
        };
        if purpose == Purpose::Score
            && let Some(names) = table.names()
            && let Some(cell) = table
                .absent()
                .iter()
                .find(|cell| self.label_column() != Some(&names[cell.column]))
        {
            return Err(mismatch(format!(
                "row {} has no value for {}; give null where a value is missing",
                cell.row,
                shortened(&names[cell.column])
            ))
            .at(format!("records.rows[{}]", cell.row)));
        }
        let labels = match purpose {
            Purpose::Learn => self.labels(&table, &order)?,
            Purpose::Score => None,
        };
        let features = match order.features {
            None => table.into_values(),
            // `select` keeps the order of the axes in memory, which rows by position and by name alike have as rows first
            Some(columns) => table
                .values()
                .select(Axis(1), &columns)
                .as_standard_layout()
                .into_owned(),
        };
        Ok(Aligned { features, labels })
    }

    fn labels(&self, table: &Table, order: &Order) -> Result<Option<Vec<Label>>> {
        let column = order.label.zip(self.label.as_ref());
        match (column, table.labels()) {
            (None, None) => Ok(None),
            (None, Some(labels)) => {
                labels_of(labels.iter().copied(), "the list of labels").map(Some)
            }
            (Some((index, label)), None) => {
                let place = format!("the label column {:?}", label.name);
                labels_of(table.values().column(index).iter().copied(), &place).map(Some)
            }
            (Some((_, label)), Some(_)) => {
                let message = format!(
                    "the labels stand twice, in the column {} and beside the rows; give one of them",
                    shortened(&label.name)
                );
                Err(Error::new(Reason::InvalidRecords, message).at("records"))
            }
        }
    }

    fn by_position(&self, n_columns: usize) -> Result<Order> {
        let n = self.features.len();
        if n_columns == n {
            return Ok(Order::identity());
        }
        match &self.label {
            Some(label) if n_columns == n + 1 => Ok(Order {
                features: Some(
                    (0..n_columns)
                        .filter(|&column| column != label.index)
                        .collect(),
                ),
                label: Some(label.index),
            }),
            _ => Err(mismatch(format!(
                "the rows have {n_columns} values, the model has {n} features"
            ))),
        }
    }

    fn by_name(&self, names: &[String]) -> Result<Order> {
        if names == self.features {
            return Ok(Order::identity());
        }
        check_names(names)?;
        let columns: HashMap<&str, usize> = names
            .iter()
            .enumerate()
            .map(|(i, name)| (name.as_str(), i))
            .collect();
        let found: Vec<Option<usize>> = self
            .features
            .iter()
            .map(|f| columns.get(f.as_str()).copied())
            .collect();
        let label = self
            .label_column()
            .and_then(|name| columns.get(name).copied());
        let n_found = found.iter().flatten().count();
        if n_found < self.features.len() || n_found + usize::from(label.is_some()) < names.len() {
            return Err(self.name_mismatch(names));
        }
        Ok(Order {
            features: Some(found.into_iter().flatten().collect()),
            label,
        })
    }

    fn name_mismatch(&self, names: &[String]) -> Error {
        let given: HashSet<&String> = names.iter().collect();
        let known: HashSet<&String> = self.features.iter().collect();
        let missing: Vec<&String> = self
            .features
            .iter()
            .filter(|feature| !given.contains(feature))
            .collect();
        let unknown: Vec<&String> = names
            .iter()
            .filter(|name| !known.contains(name) && self.label_column() != Some(name.as_str()))
            .collect();
        let unmatched: Vec<String> = unknown.iter().map(|&name| name.clone()).collect();
        let mut parts = Vec::new();
        parts.extend(listed("missing feature", &missing, |name| {
            nearest(name, &unmatched).map(|near| format!(" (given: {})", shortened(near)))
        }));
        parts.extend(listed("unknown feature", &unknown, |name| {
            nearest(name, &self.features)
                .map(|near| format!(" (nearest known: {})", shortened(near)))
        }));
        mismatch(parts.join("; "))
    }
}

/// Where the columns of a table stand.
struct Order {
    /// For each feature the index of its column; `None` when they are the columns as they are.
    features: Option<Vec<usize>>,
    label: Option<usize>,
}

impl Order {
    fn identity() -> Self {
        Self {
            features: None,
            label: None,
        }
    }
}

fn mismatch(message: String) -> Error {
    Error::new(Reason::SchemaMismatch, message).at("records")
}

fn check_names(names: &[String]) -> Result<()> {
    let mut seen = HashMap::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let problem = if name.is_empty() {
            format!("column {index} has an empty name; name every column or none")
        } else if name.len() > MAX_NAME_BYTES {
            format!(
                "the name of column {index} has {} bytes; it must have at most {MAX_NAME_BYTES}",
                name.len()
            )
        } else if let Some(first) = seen.insert(name.as_str(), index) {
            format!(
                "columns {first} and {index} are both named {}; names must be unique",
                shortened(name)
            )
        } else {
            continue;
        };
        return Err(Error::new(Reason::InvalidRecords, problem).at("records"));
    }
    Ok(())
}

fn listed(what: &str, names: &[&String], hint: impl Fn(&str) -> Option<String>) -> Option<String> {
    if names.is_empty() {
        return None;
    }
    let mut shown: Vec<String> = names
        .iter()
        .take(MAX_NAMED)
        .map(|name| format!("{}{}", shortened(name), hint(name).unwrap_or_default()))
        .collect();
    if names.len() > MAX_NAMED {
        shown.push(format!("and {} more", names.len() - MAX_NAMED));
    }
    let plural = if names.len() > 1 { "s" } else { "" };
    Some(format!("{what}{plural} {}", shown.join(", ")))
}

fn nearest_hint(name: &str, known: &[String]) -> String {
    match nearest(name, known) {
        Some(near) => format!("; nearest is {}", shortened(near)),
        None => String::new(),
    }
}

/// The known name that is most like `name`, if any is like it at all.
fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    const ALIKE: f64 = 0.7;
    /// Comparing is quadratic in the lengths, and a message may hold very many names.
    const MAX_COMPARED: usize = 1000;
    known
        .iter()
        .take(MAX_COMPARED)
        .filter(|other| other.len() <= 256 && name.len() <= 256)
        .map(|other| {
            (
                strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase()),
                other.as_str(),
            )
        })
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, other)| other)
}

#[cfg(test)]
mod tests;
