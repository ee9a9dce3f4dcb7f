//! Parses a chunk of JSON objects into columns.

use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::super::MAX_COLUMNS;
use super::super::cells::{Cells, Kind};
use super::super::text_file::Problem;
use super::keys::Keys;
use super::layout::not_an_object;
use crate::error::{Error, reason};
use crate::table::{invalid, shortened};

/// A column from which many rows may be absent, which take no memory.
pub(super) struct SparseCells {
    cells: Cells,
    /// The gaps: after how many cells how many rows are absent.
    gaps: Vec<(usize, usize)>,
    n_rows: usize,
    first_absent: Option<usize>,
}

impl SparseCells {
    fn new(kind: Kind) -> Self {
        Self {
            cells: Cells::new(kind),
            gaps: Vec::new(),
            n_rows: 0,
            first_absent: None,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        self.cells.kind()
    }

    /// Makes the next cell that of a row; `false` if the row has one already.
    fn go_to(&mut self, row: usize) -> bool {
        if self.n_rows > row {
            return false;
        }
        self.fill_to(row);
        self.n_rows = row + 1;
        true
    }

    fn fill_to(&mut self, row: usize) {
        if self.n_rows < row {
            self.first_absent.get_or_insert(self.n_rows);
            self.gaps.push((self.cells.len(), row - self.n_rows));
            self.n_rows = row;
        }
    }

    /// The cells, the gaps between them, and the first row that is absent.
    pub(super) fn finish(mut self, n_rows: usize) -> (Cells, Vec<(usize, usize)>, Option<usize>) {
        self.fill_to(n_rows);
        (self.cells, self.gaps, self.first_absent)
    }
}

/// The objects of a chunk.
pub(in crate::table::read) struct ParsedChunk {
    /// The columns of the known keys, and then those of the new ones.
    pub(super) columns: Vec<SparseCells>,
    pub(super) n_known: usize,
    pub(super) new_names: Vec<String>,
    pub(super) n_rows: usize,
    pub(super) problem: Option<Problem>,
}

/// Parses objects into columns that are of these kinds so far.
pub(super) fn parse<'a>(
    records: impl Iterator<Item = &'a [u8]>,
    keys: &Keys,
    kinds: &[Kind],
) -> ParsedChunk {
    let mut parser = Parser {
        keys,
        new_ids: HashMap::new(),
        order: Vec::new(),
        at: 0,
        parsed: ParsedChunk {
            columns: kinds.iter().map(|&kind| SparseCells::new(kind)).collect(),
            n_known: kinds.len(),
            new_names: Vec::new(),
            n_rows: 0,
            problem: None,
        },
    };
    for record in records {
        if let Err(problem) = parser.row(record) {
            parser.parsed.problem = Some(problem);
            break;
        }
        parser.parsed.n_rows += 1;
    }
    parser.parsed
}

struct Parser<'a> {
    keys: &'a Keys,
    new_ids: HashMap<String, usize>,
    /// The columns of the row before, because the keys of the next row nearly always come in the same order.
    order: Vec<usize>,
    at: usize,
    parsed: ParsedChunk,
}

impl Parser<'_> {
    fn row(&mut self, record: &[u8]) -> Result<(), Problem> {
        let row = self.parsed.n_rows;
        if record.first() != Some(&b'{') {
            return Err(Problem {
                error: not_an_object(),
                ..Problem::new(row, "")
            });
        }
        self.at = 0;
        let mut deserializer = serde_json::Deserializer::from_slice(record);
        let parsed = deserializer
            .deserialize_map(RowVisitor(self))
            .and_then(|()| deserializer.end());
        match parsed {
            Ok(()) => Ok(()),
            Err(error) => Err(self.parsed.problem.take().unwrap_or_else(|| {
                Problem::new(row, format!("the row is no valid JSON: {error}"))
            })),
        }
    }

    fn name(&self, column: usize) -> &str {
        match column.checked_sub(self.parsed.n_known) {
            None => &self.keys.names[column],
            Some(new) => &self.parsed.new_names[new],
        }
    }

    /// The column of a key, ready for the cell of this row.
    fn column(&mut self, key: &str) -> Result<usize, Problem> {
        let column = match self.order.get(self.at) {
            Some(&next) if self.name(next) == key => next,
            _ => self.find(key)?,
        };
        match self.order.get_mut(self.at) {
            Some(next) => *next = column,
            None => self.order.push(column),
        }
        self.at += 1;
        let row = self.parsed.n_rows;
        if self.parsed.columns[column].go_to(row) {
            Ok(column)
        } else {
            let message = format!("the key {} stands twice", shortened(key));
            Err(Problem::new(row, message))
        }
    }

    fn find(&mut self, key: &str) -> Result<usize, Problem> {
        let known = self.keys.ids.get(key).or_else(|| self.new_ids.get(key));
        if let Some(&column) = known {
            return Ok(column);
        }
        let column = self.parsed.columns.len();
        let row = self.parsed.n_rows;
        if key.is_empty() {
            return Err(Problem::new(row, "a key is empty; name every column"));
        }
        if column >= MAX_COLUMNS {
            let message = format!("there are more than {MAX_COLUMNS} columns");
            return Err(Problem::new(row, message));
        }
        self.new_ids.insert(key.to_owned(), column);
        self.parsed.new_names.push(key.to_owned());
        self.parsed.columns.push(SparseCells::new(Kind::Unknown));
        Ok(column)
    }

    fn cell_problem(&mut self, column: usize, error: Error) {
        self.parsed.problem = Some(Problem {
            at: self.parsed.n_rows,
            column: format!(", key {}", shortened(self.name(column))),
            error,
        });
    }
}

struct RowVisitor<'p, 'a>(&'p mut Parser<'a>);

impl<'de> Visitor<'de> for RowVisitor<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(column) = map.next_key_seed(KeySeed(self.0))? {
            let cells = &mut self.0.parsed.columns[column].cells;
            let mut problem = None;
            let read = map.next_value_seed(CellSeed {
                cells,
                problem: &mut problem,
            });
            if let Some(error) = problem {
                self.0.cell_problem(column, error);
                return Err(A::Error::custom(""));
            }
            read?;
        }
        Ok(())
    }
}

struct KeySeed<'p, 'a>(&'p mut Parser<'a>);

impl<'de> DeserializeSeed<'de> for KeySeed<'_, '_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_, '_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<usize, E> {
        self.0.column(key).map_err(|problem| {
            self.0.parsed.problem = Some(problem);
            E::custom("")
        })
    }
}

/// Deserialises a value into a column, or an error about it.
struct CellSeed<'c> {
    cells: &'c mut Cells,
    problem: &'c mut Option<Error>,
}

impl CellSeed<'_> {
    fn refuse<E: serde::de::Error>(self, error: Error) -> Result<(), E> {
        *self.problem = Some(error);
        Err(E::custom(""))
    }

    fn number<E: serde::de::Error>(self, number: f64) -> Result<(), E> {
        if self.cells.kind() == Kind::Text {
            return self.refuse(not_text("a number"));
        }
        self.cells.push_number(number);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for CellSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for CellSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a boolean, text or null")
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<(), E> {
        self.number(number)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<(), E> {
        self.number(number as f64)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<(), E> {
        self.number(number as f64)
    }

    fn visit_bool<E: serde::de::Error>(self, boolean: bool) -> Result<(), E> {
        if self.cells.kind() == Kind::Text {
            return self.refuse(not_text("a boolean"));
        }
        self.cells.push_boolean(boolean);
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        if matches!(self.cells.kind(), Kind::Number | Kind::Boolean) {
            let message = format!(
                "{} is text, but the values before it are numbers; a column holds values of one type",
                shortened(text)
            );
            return self.refuse(Error::new(reason::TEXT_VALUE, message));
        }
        match self.cells.push_text(text) {
            Ok(()) => Ok(()),
            Err(error) => self.refuse(error),
        }
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.cells.push_missing(1);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        self.refuse(nested("an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        self.refuse(nested("an object"))
    }
}

fn not_text(what: &str) -> Error {
    invalid(format!(
        "{what} stands here, but the values before it are text; a column holds values of one type"
    ))
}

fn nested(what: &str) -> Error {
    invalid(format!(
        "{what} is no value of a table; give its parts keys of their own, or leave it out"
    ))
}
