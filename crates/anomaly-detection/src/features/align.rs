//! Matching the columns of a table to a schema.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use ndarray::Array2;

use super::label::{Label, labels_of};
use super::order::{Order, mismatch};
use super::roles::{FeatureKind, FeaturePolicy, Role};
use super::schema::Schema;
use super::unknown::UnknownFeature;
use super::vocabulary::Vocabulary;
use crate::error::{Error, Place, Result, reason};
use crate::table::{ColumnView, Table, TextColumn, shortened};

/// A table whose columns have been matched to a schema.
#[derive(Debug, Clone)]
pub struct Aligned {
    /// The values of the features, n x p in the order in which a detector sees them, in standard layout: numbers, and for texts
    /// their numbers in the vocabulary. NaN where a value is missing.
    pub features: Array2<f64>,
    /// The labels, if there are any and they are needed.
    pub labels: Option<Vec<Label>>,
    /// The times, in nanoseconds since 1970, if the table has the time column.
    pub times: Option<Vec<Option<i64>>>,
    /// The series, if the table has the series column.
    pub series: Option<SeriesOfTable>,
    /// The names of the columns that the schema does not know.
    pub unknown: Vec<String>,
    /// Statistics of each of these columns; empty unless the policy is adaptive.
    pub unknown_statistics: Vec<UnknownFeature>,
}

/// Which series each row belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesOfTable {
    /// For each row the index of the name of its series.
    pub codes: Vec<u32>,
    /// The names of the series.
    pub names: Vec<String>,
}

/// What the rows of a table are for, which decides how it may deviate from the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Labels are read. A row that leaves out the key of a column has a missing value there.
    Learn,
    /// Labels are ignored. Every row must have the key of every feature, or its score would depend on the rows beside it.
    Score,
}

/// How a table is matched.
#[derive(Debug, Clone, Copy)]
pub struct Matching<'a> {
    /// What the rows are for.
    pub purpose: Purpose,
    /// How the columns may differ from the schema.
    pub policy: FeaturePolicy,
    /// Whether the time and the series of each row are needed.
    pub needs_history: bool,
    /// The texts of categorical features with their numbers.
    pub vocabulary: &'a Vocabulary,
}

impl Matching<'_> {
    /// The roles of the columns that are read besides the features.
    fn needed(&self) -> Vec<Role> {
        let mut needed = Vec::new();
        if self.purpose == Purpose::Learn {
            needed.push(Role::Label);
        }
        if self.needs_history {
            needed.extend([Role::Time, Role::Series]);
        }
        needed
    }
}

impl Schema {
    /// Matches the columns of a table to the schema: by name in any order or, if the table has no names, by position. Then it has
    /// either the features alone or all columns of the training. The numbers of an owned table are moved if possible.
    ///
    /// # Errors
    /// Fails when a column is repeated or has another type than at training, or when it is missing or unknown and the policy does
    /// not allow that. The error names the columns and the nearest known ones.
    pub fn align(&self, table: Cow<'_, Table>, how: Matching<'_>) -> Result<Aligned> {
        if how.policy == FeaturePolicy::Strict {
            self.check_taken(&table)?;
        }
        let mut order = match table.names() {
            None => {
                let order = self.by_position(table.n_columns(), &how.needed())?;
                if how.needs_history {
                    self.check_history(&order)?;
                }
                order
            }
            Some(names) => self.by_name(&table, names, &how)?,
        };
        if how.purpose == Purpose::Score && how.policy == FeaturePolicy::Strict {
            self.check_mentioned(&table, how.needs_history)?;
        }
        let labels = match how.purpose {
            Purpose::Learn => self.labels(&table, &order)?,
            Purpose::Score => None,
        };
        let (mut times, mut series) = (None, None);
        if how.needs_history {
            if let (Some(source), Some(index)) = (self.time(), order.place(self, Role::Time)) {
                times = Some(source.read(&table, index)?);
            }
            if let Some(index) = order.place(self, Role::Series) {
                series = Some(self.series_of(&table, index)?);
            }
        }
        let unknown = std::mem::take(&mut order.unknown);
        let unknown_statistics = match (how.policy, table.names()) {
            (FeaturePolicy::Adaptive, Some(names)) => {
                let places: HashMap<&String, usize> = names.iter().zip(0..).collect();
                let places = unknown.iter().filter_map(|name| places.get(name));
                places
                    .map(|&column| UnknownFeature::of(&table, column))
                    .collect()
            }
            _ => Vec::new(),
        };
        let features = self.values(table, &order, how.vocabulary)?;
        Ok(Aligned {
            features,
            labels,
            times,
            series,
            unknown,
            unknown_statistics,
        })
    }

    /// Fails when a feature was taken for the ids of the rows.
    fn check_taken(&self, table: &Table) -> Result<()> {
        match (table.names(), table.taken_name()) {
            (Some(_), Some(taken)) if self.features().iter().any(|name| name == taken) => {
                Err(mismatch(format!(
                    "the feature {} is named as row_id_column, and row ids are not features; name another column",
                    shortened(taken)
                ))
                .at("records.row_id_column"))
            }
            _ => Ok(()),
        }
    }

    fn check_mentioned(&self, table: &Table, needs_history: bool) -> Result<()> {
        let Some(names) = table.names() else {
            return Ok(());
        };
        if table.absent().is_empty() {
            return Ok(());
        }
        let others = self
            .others()
            .iter()
            .filter(|column| needs_history && matches!(column.role, Role::Time | Role::Series));
        let others = others.map(|column| &column.name);
        let needed: HashSet<&String> = self.features().iter().chain(others).collect();
        let mut absent = table.absent().iter();
        match absent.find(|cell| needed.contains(&names[cell.column])) {
            None => Ok(()),
            Some(cell) => Err(mismatch(format!(
                "no value is given for {}; give null where a value is missing",
                shortened(&names[cell.column])
            ))
            .in_table(Place::Row(cell.row))),
        }
    }

    fn labels(&self, table: &Table, order: &Order) -> Result<Option<Vec<Label>>> {
        let column = order.place(self, Role::Label).zip(self.label_column());
        match (column, table.labels()) {
            (None, None) => Ok(None),
            (None, Some(labels)) => {
                labels_of(labels.iter().copied(), Place::Label).map(Some)
            }
            (Some((index, name)), None) => {
                match table.column(index) {
                    ColumnView::Numbers(values) | ColumnView::Booleans(values) => {
                        labels_of(values.iter().copied(), |row| table.place(row, index)).map(Some)
                    }
                    _ => Err(Error::new(
                        reason::TEXT_VALUE,
                        format!(
                            "the label column {} holds {} values; a label is 1 or true for an anomaly, 0 or false for a normal \
                             row",
                            shortened(name),
                            table.column_type(index)
                        ),
                    )
                    .in_table(Place::Column(table.placed_column(index)))),
                }
            }
            (Some((_, name)), Some(_)) => {
                let message = format!(
                    "labels are given twice, in the column {} and beside the rows; give one of them",
                    shortened(name)
                );
                Err(Error::new(reason::INVALID_RECORDS, message).at("records"))
            }
        }
    }

    /// The values of the features.
    fn values(
        &self,
        table: Cow<'_, Table>,
        order: &Order,
        vocabulary: &Vocabulary,
    ) -> Result<Array2<f64>> {
        let columns = match &order.features {
            Some(columns) => columns.clone(),
            None => (0..self.n_features()).map(Some).collect(),
        };
        let columns = self.arrange(columns);
        let found: Option<Vec<usize>> = columns.iter().copied().collect();
        if let (Some(columns), true) = (found, self.is_all_numbers()) {
            for (place, &column) in columns.iter().enumerate() {
                if matches!(
                    table.column(column),
                    ColumnView::Texts(_) | ColumnView::Times(_)
                ) {
                    return Err(self.other_type(&table, column, place));
                }
            }
            return match table {
                Cow::Owned(table) => table.into_numbers(&columns),
                Cow::Borrowed(table) => table.numbers(&columns),
            };
        }
        let mut values = Array2::from_elem((table.n_rows(), columns.len()), f64::NAN);
        for (place, (mut values, &column)) in
            values.columns_mut().into_iter().zip(&columns).enumerate()
        {
            let Some(column) = column else {
                continue;
            };
            match (table.column(column), vocabulary.of(place)) {
                (ColumnView::Numbers(numbers) | ColumnView::Booleans(numbers), None) => {
                    values.assign(&numbers);
                }
                (ColumnView::Texts(texts), Some(categories)) => {
                    for (value, number) in values.iter_mut().zip(categories.numbers(texts)) {
                        *value = number;
                    }
                }
                // some formats read a column without any value as numbers
                (ColumnView::Numbers(numbers), Some(_)) if numbers.iter().all(|x| x.is_nan()) => {}
                (ColumnView::Texts(texts), None) if texts.n_missing() == texts.len() => {}
                _ => return Err(self.other_type(&table, column, place)),
            }
        }
        Ok(values)
    }

    fn other_type(&self, table: &Table, column: usize, place: usize) -> Error {
        let feature = self.feature_at(place);
        let what = format!("feature {}", shortened(&self.features()[feature]));
        other_type(table, column, &what, Some(self.kind(feature)))
    }
}

impl SeriesOfTable {
    /// The series named by texts. Rows without a text share the series with the empty name.
    fn of_texts(texts: &TextColumn) -> Self {
        let n_names = texts.dictionary().len() as u32;
        let mut names: Vec<String> = texts.dictionary().iter().map(str::to_owned).collect();
        names.push(String::new());
        let codes = texts.codes().iter().map(|&code| code.min(n_names));
        Self {
            codes: codes.collect(),
            names,
        }
    }
}

impl Schema {
    /// The series of each row, named by the text in the column or by the number written out.
    fn series_of(&self, table: &Table, column: usize) -> Result<SeriesOfTable> {
        match (table.column(column), self.series()) {
            (ColumnView::Texts(texts), Some(FeatureKind::Category)) => {
                Ok(SeriesOfTable::of_texts(texts))
            }
            (ColumnView::Numbers(numbers) | ColumnView::Booleans(numbers), kind)
                if kind == Some(FeatureKind::Number) || numbers.iter().all(|x| x.is_nan()) =>
            {
                let names: Vec<Option<String>> = numbers
                    .iter()
                    // -0 + 0 is 0: both are one series
                    .map(|number| (!number.is_nan()).then(|| (number + 0.0).to_string()))
                    .collect();
                let texts = names.iter().map(Option::as_deref).collect();
                Ok(SeriesOfTable::of_texts(&texts))
            }
            (ColumnView::Texts(texts), _) if texts.n_missing() == texts.len() => {
                Ok(SeriesOfTable::of_texts(texts))
            }
            _ => {
                let name = self.column_of(Role::Series).map(|column| &column.name);
                let what = format!("the series column {}", shortened(name.map_or("", |n| n)));
                Err(other_type(table, column, &what, self.series()))
            }
        }
    }
}

/// The error for a column whose type is not the one that it had at training.
fn other_type(table: &Table, column: usize, what: &str, trained: Option<FeatureKind>) -> Error {
    let (trained, hint) = match trained {
        Some(FeatureKind::Category) => ("texts", "give texts, which have quotes in JSON"),
        Some(FeatureKind::Number) | None => (
            "numbers",
            "give numbers; a missing one is null, or in a CSV file an empty cell or a text in na_values",
        ),
    };
    let found = match table.column(column) {
        ColumnView::Texts(texts) => {
            (0..texts.len()).find_map(|row| Some((row, shortened(texts.get(row)?))))
        }
        ColumnView::Numbers(numbers) | ColumnView::Booleans(numbers) => {
            let row = numbers.iter().position(|x| !x.is_nan());
            row.map(|row| (row, numbers[row].to_string()))
        }
        ColumnView::Times(_) => None,
    };
    let (place, found) = match found {
        Some((row, value)) => (table.place(row, column), format!("this is {value}")),
        None => (
            Place::Column(table.placed_column(column)),
            format!(
                "column {} holds {} values",
                table.placed_column(column),
                table.column_type(column)
            ),
        ),
    };
    Error::new(
        reason::TEXT_VALUE,
        format!("{what} held {trained} at training, and {found}; {hint}"),
    )
    .in_table(place)
}

#[cfg(test)]
mod tests;
