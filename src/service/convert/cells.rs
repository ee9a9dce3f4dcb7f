//! Gathers the cells of JSON-like rows: as one matrix while all are numbers, with columns of texts from the first
//! text on.

use crate::error::{Error, Place, PlacedColumn, Reason, Result, reason};
use crate::proto::JsonCell;
use anomaly_detection::table::{Column, Table, TextBuilder, shortened};

/// Cells, pushed row by row, and in each row column by column.
pub(super) struct Cells {
    /// The numbers, row after row; NaN for a cell without a number.
    numbers: Vec<f64>,
    columns: Vec<Seen>,
    n_columns: usize,
    /// The index of the column that holds the ids of the rows, if there is one.
    id_column: Option<usize>,
}

/// What a column holds so far.
enum Seen {
    /// No value yet.
    Nothing,
    Numbers,
    Texts(TextBuilder),
}

/// Why a cell is refused.
pub(super) struct Problem {
    reason: Reason,
    what: String,
}

impl Problem {
    /// The error for the cell in this row and column; `name` is that of the column, if it has one.
    pub(super) fn at(self, row: usize, index: usize, name: Option<&str>) -> Error {
        let column = PlacedColumn {
            index,
            name: name.map(str::to_owned),
        };
        Error::new(self.reason, self.what).in_table(Place::Cell { row, column })
    }
}

impl Cells {
    pub(super) fn new(n_rows: usize, n_columns: usize) -> Self {
        Self {
            numbers: Vec::with_capacity(n_rows * n_columns),
            columns: (0..n_columns).map(|_| Seen::Nothing).collect(),
            n_columns,
            id_column: None,
        }
    }

    /// The same cells with a column that holds ids: texts or whole numbers, and no booleans.
    pub(super) fn with_ids(mut self, id_column: Option<usize>) -> Self {
        self.id_column = id_column;
        self
    }

    /// An upper bound of the bytes of memory that cells take, also while a table is made of them: the numbers, again for the
    /// columns of numbers beside texts, and codes and dictionaries.
    pub(super) fn max_bytes(n_cells: usize, n_texts: usize, text_bytes: usize) -> usize {
        let numbers = n_cells * size_of::<f64>();
        match n_texts {
            0 => numbers,
            _ => 2 * numbers + TextBuilder::max_bytes(n_texts, text_bytes),
        }
    }

    /// Adds the next cell.
    pub(super) fn push(&mut self, column: usize, cell: JsonCell<'_>) -> Result<(), Problem> {
        let (number, shown) = match cell {
            JsonCell::Number(number) => (number, None),
            JsonCell::Bool(value) if self.id_column == Some(column) => {
                return Err(Problem {
                    reason: reason::INVALID_RECORDS,
                    what: format!("{value} is not an id, which is a text or a whole number"),
                });
            }
            JsonCell::Bool(value) => (f64::from(u8::from(value)), Some(value)),
            JsonCell::Unset | JsonCell::Null => {
                self.push_missing(column);
                return Ok(());
            }
            JsonCell::Text(text) => return self.push_text(column, text),
            JsonCell::Array => return Err(nested("an array")),
            JsonCell::Object => return Err(nested("an object")),
        };
        match &mut self.columns[column] {
            Seen::Texts(_) => {
                let shown = shown.map_or_else(|| number.to_string(), |value| value.to_string());
                return Err(mixed(&shown, "a number", "text"));
            }
            seen => *seen = Seen::Numbers,
        }
        self.numbers.push(number);
        Ok(())
    }

    /// Adds a cell without a value.
    pub(super) fn push_missing(&mut self, column: usize) {
        self.numbers.push(f64::NAN);
        if let Seen::Texts(texts) = &mut self.columns[column] {
            texts.push_missing(1);
        }
    }

    fn push_text(&mut self, column: usize, text: &str) -> Result<(), Problem> {
        let n_before = self.numbers.len() / self.n_columns;
        let seen = &mut self.columns[column];
        if matches!(seen, Seen::Nothing) {
            let mut texts = TextBuilder::default();
            texts.push_missing(n_before);
            *seen = Seen::Texts(texts);
        }
        match seen {
            Seen::Texts(texts) => texts.push(text).map_err(|error| Problem {
                reason: error.reason(),
                what: error.message().to_owned(),
            })?,
            _ => return Err(mixed(&shortened(text), "text", "numbers")),
        }
        self.numbers.push(f64::NAN);
        Ok(())
    }

    /// The table of all cells.
    pub(super) fn into_table(self, names: Option<Vec<String>>) -> Result<Table> {
        let Self {
            numbers,
            columns,
            n_columns,
            ..
        } = self;
        if !columns.iter().any(|seen| matches!(seen, Seen::Texts(_))) {
            return Table::from_row_major(names, n_columns, numbers);
        }
        let column = |(column, seen): (usize, Seen)| match seen {
            Seen::Texts(texts) => Column::Texts(texts.finish()),
            _ => Column::Numbers(
                numbers
                    .iter()
                    .skip(column)
                    .step_by(n_columns)
                    .copied()
                    .collect(),
            ),
        };
        Table::from_columns(names, columns.into_iter().enumerate().map(column).collect())
    }
}

fn mixed(value: &str, is: &str, before: &str) -> Problem {
    Problem {
        reason: reason::TEXT_VALUE,
        what: format!(
            "{value} is {is}, and the rows before have {before}; a column holds one of them"
        ),
    }
}

fn nested(what: &str) -> Problem {
    Problem {
        reason: reason::TEXT_VALUE,
        what: format!("{what} is neither a number nor text"),
    }
}
