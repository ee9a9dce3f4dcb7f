//! The columns of several datasets together.

use std::collections::HashMap;

use super::{DatasetId, OpenDataset};
use crate::error::{Error, Result, reason};
use anomaly_detection::table::read::{ColumnSummary, MAX_COLUMNS};
use anomaly_detection::table::{ColumnType, shortened};

/// The union of the columns of several datasets, in the order in which they first appear.
#[derive(Debug)]
pub(super) struct Union {
    columns: Vec<UnitedColumn>,
    /// For each dataset and column of the union, the column of the dataset that it comes from.
    sources: Vec<Vec<Option<usize>>>,
}

#[derive(Debug)]
struct UnitedColumn {
    name: String,
    /// The type and the first dataset that has it; `None` if all values so far are missing, which fits any type.
    known: Option<(ColumnType, usize)>,
}

impl Union {
    /// Unites the columns of datasets.
    ///
    /// Columns of numbers and of booleans make one of numbers. Fails when others of one name differ in type, and when there
    /// are too many columns.
    pub(super) fn of(datasets: &[(DatasetId, OpenDataset)]) -> Result<Self> {
        let mut columns: Vec<UnitedColumn> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut sources = Vec::with_capacity(datasets.len());
        for (index, (_, dataset)) in datasets.iter().enumerate() {
            let n_rows = dataset.summary.n_rows();
            let mut from = vec![None; columns.len()];
            for (column, summary) in dataset.summary.columns().iter().enumerate() {
                let place = *places.entry(&summary.name).or_insert_with(|| {
                    columns.push(UnitedColumn {
                        name: summary.name.clone(),
                        known: None,
                    });
                    from.push(None);
                    columns.len() - 1
                });
                // a column without a value has no type of its own
                if summary.n_missing < n_rows {
                    columns[place].join(summary, index, datasets)?;
                    from[place] = Some(column);
                }
            }
            sources.push(from);
        }
        if columns.len() > MAX_COLUMNS {
            return Err(Error::new(
                reason::INVALID_RECORDS,
                format!(
                    "the datasets have {} columns together; at most {MAX_COLUMNS} can be combined",
                    columns.len()
                ),
            )
            .at("dataset_ids"));
        }
        for from in &mut sources {
            from.resize(columns.len(), None);
        }
        Ok(Self { columns, sources })
    }

    /// The names and types of the columns.
    pub(super) fn columns(&self) -> impl Iterator<Item = (&str, ColumnType)> {
        self.columns.iter().map(|column| {
            let column_type = column.known.map_or(ColumnType::Number, |known| known.0);
            (column.name.as_str(), column_type)
        })
    }

    /// For each column of the union, the column of a dataset that it comes from, if that has a
    /// value.
    pub(super) fn sources(&self, dataset: usize) -> &[Option<usize>] {
        &self.sources[dataset]
    }
}

impl UnitedColumn {
    fn join(
        &mut self,
        next: &ColumnSummary,
        index: usize,
        datasets: &[(DatasetId, OpenDataset)],
    ) -> Result<()> {
        use ColumnType::{Boolean, Number};
        match self.known {
            None => self.known = Some((next.column_type, index)),
            Some((known, _)) if known == next.column_type => {}
            Some((Number | Boolean, first)) if matches!(next.column_type, Number | Boolean) => {
                self.known = Some((Number, first));
            }
            Some((known, first)) => {
                return Err(Error::new(
                    reason::COLUMN_TYPE_CLASH,
                    format!(
                        "column {} is of type {known} in the dataset {} and of type {} in the dataset {}; upload one of them again \
                         with the type of the other, or under another name",
                        shortened(&self.name),
                        shortened(datasets[first].0.as_str()),
                        next.column_type,
                        shortened(datasets[index].0.as_str()),
                    ),
                )
                .at(format!("dataset_ids[{index}]")));
            }
        }
        Ok(())
    }
}
