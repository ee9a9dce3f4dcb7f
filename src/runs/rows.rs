//! The rows of a request: where they come from, and their ids.

use std::collections::HashSet;

use bytes::Bytes;

use super::Form;
use crate::caller::{Caller, check_id};
use crate::compute::{Admission, Class};
use crate::datasets::{DatasetId, Datasets};
use crate::error::{Error, Kind, Place, Result};
use crate::memory::Share;
use crate::store::Store;
use anomaly_detection::context::{Context, Progress, stage};
use anomaly_detection::pipeline::Draw;
use anomaly_detection::table::read::{self, FileOptions, Limits};
use anomaly_detection::table::{Column, Table};

/// What is wrong with a row without an id.
const NO_ID: &str = "there is no id; each row needs a text or a whole number";

/// The largest file that is read in a few milliseconds, if it is not compressed.
const SMALL_FILE_BYTES: usize = 64 * 1024;

/// The field with the name of the id column.
const ID_COLUMN: &str = "row_id_column";

/// The bytes of memory of an id of usual length, with its place in the set that finds repeated ones.
const ID_MEMORY: usize = 96;

/// Rows that a request contains or names.
pub struct Rows {
    /// Where they are.
    pub source: RowSource,
    /// Their ids.
    pub ids: RowIds,
    /// The memory of the request that they take.
    pub share: Share,
}

/// Where rows come from.
pub enum RowSource {
    /// A table in memory, and the form that it came in.
    Table(Table, Form),
    /// A file that is still to be read, which takes a while.
    File(Bytes, FileOptions),
    /// A dataset that is still to be read.
    Dataset(DatasetSource),
}

/// A dataset, and how to read it.
#[derive(Debug, Clone)]
pub struct DatasetSource {
    /// Which one.
    pub id: DatasetId,
    /// The columns of a CSV file that are always read as texts.
    pub known_texts: Vec<String>,
}

/// The ids that a client gives to rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RowIds {
    /// None.
    #[default]
    None,
    /// One for each row, as [`RowIds::given`] has checked.
    Given(Vec<String>),
    /// In the column of this name.
    Column(String),
}

/// Rows in memory.
pub struct ReadRows {
    /// The rows, without the column of their ids.
    pub table: Table,
    /// The id of each row, if they have ids.
    pub ids: Option<Vec<String>>,
    /// Their share of the memory of requests or of datasets, to be held as long as the rows are.
    pub share: Share,
}

impl RowSource {
    /// The form that the rows come in.
    pub fn form(&self) -> Form {
        match self {
            Self::Table(_, form) => form.clone(),
            Self::File(..) => Form::File,
            Self::Dataset(_) => Form::Dataset,
        }
    }
}

impl Rows {
    /// Reads the rows into memory. A file or a dataset is read on the compute pool, behind a permit. If there is a draw, only
    /// its rows are kept of a dataset. Reading is reported to `progress`.
    ///
    /// Fails, with the field below the records, when they cannot be read, and as [`RowIds::take_from`].
    pub async fn read<S: Store>(
        self,
        datasets: &Datasets<S>,
        caller: Caller,
        draw: Option<Draw>,
        admission: Admission,
        progress: Option<&Progress>,
    ) -> Result<ReadRows> {
        // given ids are compared already, and those of a dataset need not fit in memory at once
        let compares_ids = matches!(
            (&self.source, &self.ids),
            (
                RowSource::Table(..) | RowSource::File(..),
                RowIds::Column(_)
            )
        );
        let mut share = self.share;
        let mut table = match self.source {
            RowSource::Table(table, _) => table,
            RowSource::File(content, options) => {
                let class = Class::small_if(content.len() <= SMALL_FILE_BYTES);
                let progress = progress.cloned();
                let parse = move |context: &Context| {
                    context.reporting(progress.as_ref()).enter(stage::READING);
                    let table = parse(content, &options, &mut share)?;
                    Ok((table, share))
                };
                let parsed = datasets.compute().run(caller, class, admission, parse);
                let (table, taken) = parsed.await?;
                share = taken;
                table
            }
            RowSource::Dataset(DatasetSource { id, known_texts }) => {
                // boxed, since a request with rows of its own needs no room for it
                let whole = datasets.table(&caller, &id, &known_texts, draw, admission, progress);
                let whole = Box::pin(whole);
                let whole = whole.await.map_err(|error| error.at("dataset_id"))?;
                share = whole.share;
                whole.table
            }
        };
        if compares_ids {
            share.grow(table.n_rows() * ID_MEMORY)?;
        }
        let ids = self.ids.take_from(&mut table)?;
        if let (true, Some(ids)) = (compares_ids, &ids) {
            check_unique(ids, |_| ID_COLUMN.to_owned())?;
        }
        Ok(ReadRows { table, ids, share })
    }
}

/// Reads a file into a table, which has the share from then on. Fails at the field below the records.
fn parse(content: Bytes, options: &FileOptions, share: &mut Share) -> Result<Table> {
    let table = read::read_counted(&content, options, Limits::default(), &mut |bytes| {
        share.grow(bytes)
    });
    let table = table.map_err(|error| match (error.kind(), error.field_path()) {
        // not the fault of the file
        (Kind::ResourceExhausted, _) => error,
        // the reader names the options of CSV
        (_, Some(_)) => error.within("file.csv"),
        (_, None) => error.at("file"),
    })?;
    drop(content);
    share.resize(table.n_bytes())?;
    Ok(table)
}

impl RowIds {
    /// The ids in a request, or its id column; `None` if it has neither.
    ///
    /// Fails at `row_ids` when both are given, and for an id that is empty, too long, has control characters or occurs twice.
    pub fn given(ids: Vec<String>, column: String) -> Result<Self> {
        match (ids.is_empty(), column.is_empty()) {
            (true, true) => Ok(Self::None),
            (true, false) => Ok(Self::Column(column)),
            (false, true) => {
                check_ids(&ids, |row| format!("row_ids[{row}]"))?;
                check_unique(&ids, |row| format!("row_ids[{row}]"))?;
                Ok(Self::Given(ids))
            }
            (false, false) => Err(Error::field(
                "row_ids",
                "row_ids and row_id_column exclude each other; give one of them",
            )),
        }
    }

    /// The index of the id column among `n_columns` columns, by its name, or by `f0`, `f1`, … if they have no names; `None` if
    /// there is none.
    pub fn place_in(&self, names: Option<&[String]>, n_columns: usize) -> Option<usize> {
        let Self::Column(column) = self else {
            return None;
        };
        match names {
            Some(names) => names.iter().position(|name| name == column),
            None => {
                let place = column.strip_prefix('f')?.parse().ok()?;
                // only this way to write the number is its name
                (place < n_columns && *column == format!("f{place}")).then_some(place)
            }
        }
    }

    /// Takes the ids of the rows; an id column is removed from the table.
    ///
    /// Fails when the number of ids is not that of the rows, when there is no such column, and when a row has no
    /// id in it.
    pub fn take_from(self, table: &mut Table) -> Result<Option<Vec<String>>> {
        match self {
            Self::None => Ok(None),
            Self::Given(ids) if ids.len() == table.n_rows() => Ok(Some(ids)),
            Self::Given(ids) => {
                let message = format!(
                    "there are {} row ids for {} rows; give one for each row",
                    ids.len(),
                    table.n_rows()
                );
                Err(Error::field("row_ids", message))
            }
            Self::Column(ref name) => {
                let place = self.place_in(table.names(), table.n_columns());
                ids_from_column(table, name, place).map(Some)
            }
        }
    }
}

fn ids_from_column(table: &mut Table, name: &str, place: Option<usize>) -> Result<Vec<String>> {
    let at_column = |message: String| Error::field(ID_COLUMN, message);
    let Some(place) = place else {
        let message = format!(
            "the records have no column {} to take row ids from",
            anomaly_detection::table::shortened(name)
        );
        return Err(at_column(message));
    };
    let refused = |row: usize, what: &str| at_column(what.to_owned()).in_table(Place::Row(row));
    let column = table.take_column(place);
    let ids: Vec<String> = match column.map_err(|error| error.at(ID_COLUMN))? {
        Column::Texts(texts) => (0..texts.len())
            .map(|row| {
                texts
                    .get(row)
                    .map(str::to_owned)
                    .ok_or_else(|| refused(row, NO_ID))
            })
            .collect::<Result<_>>()?,
        Column::Numbers(numbers) => numbers
            .iter()
            .enumerate()
            .map(|(row, &number)| whole_number(number).map_err(|what| refused(row, what)))
            .collect::<Result<_>>()?,
        Column::Booleans(_) | Column::Times(_) => {
            return Err(at_column(
                "row ids are texts or whole numbers, and this column has neither".to_owned(),
            ));
        }
    };
    check_ids(&ids, |_| ID_COLUMN.to_owned())?;
    Ok(ids)
}

/// A whole number as an id; the error says what is wrong with any other number.
fn whole_number(number: f64) -> Result<String, &'static str> {
    /// 2^53: from here on a double stands for several whole numbers.
    const INEXACT: f64 = 9_007_199_254_740_992.0;
    match number {
        _ if number.is_nan() => Err(NO_ID),
        _ if number.fract() != 0.0 => Err("the id is not a text or a whole number"),
        _ if number.abs() >= INEXACT => Err(
            "the id is a number of 2^53 or more, which is not exact as a number; give such ids as texts",
        ),
        _ => Ok((number as i64).to_string()),
    }
}

/// Fails, at the field of the row, if an id is malformed.
fn check_ids(ids: &[String], field: impl Fn(usize) -> String) -> Result<()> {
    for (row, id) in ids.iter().enumerate() {
        check_id("the id of a row", id)
            .map_err(|error| Error::field(field(row), error.message()).in_table(Place::Row(row)))?;
    }
    Ok(())
}

/// Fails, at the field of the row, if an id occurs twice.
fn check_unique(ids: &[String], field: impl Fn(usize) -> String) -> Result<()> {
    let mut seen = HashSet::with_capacity(ids.len());
    match ids.iter().position(|id| !seen.insert(id.as_str())) {
        None => Ok(()),
        Some(row) => {
            let message = format!("an earlier row has the id {:?}, too", ids[row]);
            Err(Error::field(field(row), message).in_table(Place::Row(row)))
        }
    }
}

/// Counts the row of an error, which counts from the first of its table, from the first of all rows. If it has no row, it says
/// where the table is among them.
pub(super) fn from_row(error: Error, first_row: u64) -> Error {
    match (error.kind(), error.place()) {
        (Kind::InvalidArgument, Some(Place::Row(_) | Place::Cell { .. } | Place::Label(_))) => {
            error.counted_from(usize::try_from(first_row).unwrap_or(usize::MAX))
        }
        (Kind::InvalidArgument, _) if first_row > 0 => {
            error.during(&format!("in the records from row {first_row} on"))
        }
        _ => error,
    }
}

/// The same for rows of a dataset. The request has no field for such rows but `dataset_id`.
pub(super) fn in_dataset(error: Error, first_row: u64) -> Error {
    let error = from_row(error, first_row);
    match (error.kind(), error.field_path()) {
        (Kind::InvalidArgument, Some(ID_COLUMN | "records.row_id_column")) => error.at(ID_COLUMN),
        (Kind::InvalidArgument, _) => error.at("dataset_id"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: Vec<(&str, Column)>) -> Table {
        let (names, columns) = columns
            .into_iter()
            .map(|(name, column)| (name.to_owned(), column))
            .unzip();
        Table::from_columns(Some(names), columns).expect("a table")
    }

    fn texts(values: &[Option<&str>]) -> Column {
        Column::Texts(values.iter().copied().collect())
    }

    #[test]
    fn a_column_of_ids_leaves_the_table() {
        let numbers = |values: &[f64]| Column::Numbers(values.to_vec());
        let by_column = || RowIds::Column("id".to_owned());
        let mut rows = table(vec![
            ("id", texts(&[Some("a"), Some("b")])),
            ("x", numbers(&[1.0, 2.0])),
        ]);
        let ids = by_column().take_from(&mut rows).expect("ids");
        assert_eq!(ids.expect("some"), ["a", "b"]);
        assert_eq!(rows.names().expect("names"), ["x"]);

        let mut rows = table(vec![
            ("x", numbers(&[1.0; 2])),
            ("id", numbers(&[-7.0, -0.0])),
        ]);
        let ids = by_column().take_from(&mut rows).expect("ids");
        assert_eq!(ids.expect("some"), ["-7", "0"]);

        let refused = [
            texts(&[Some("a"), None]),
            texts(&[Some("a"), Some("")]),
            numbers(&[1.0, 1.5]),
            numbers(&[1.0, f64::NAN]),
            numbers(&[1.0, 9_007_199_254_740_992.0]),
            numbers(&[1.0, -1e300]),
            numbers(&[1.0, f64::INFINITY]),
            Column::Booleans(vec![1.0, 0.0]),
        ];
        for column in refused {
            let mut rows = table(vec![("id", column.clone()), ("x", numbers(&[1.0, 2.0]))]);
            let error = by_column().take_from(&mut rows).expect_err("refused");
            assert_eq!(error.field_path(), Some("row_id_column"), "{column:?}");
        }
        for columns in [vec![("x", numbers(&[1.0]))], vec![("id", numbers(&[1.0]))]] {
            let error = by_column().take_from(&mut table(columns));
            let error = error.expect_err("no column is left, or none is there");
            assert_eq!(error.field_path(), Some("row_id_column"));
        }
    }

    #[test]
    fn ids_beside_the_rows_are_checked() {
        let given = |ids: &[&str]| {
            RowIds::given(
                ids.iter().map(|id| (*id).to_owned()).collect(),
                String::new(),
            )
        };
        let long = "x".repeat(129);
        for (ids, field) in [
            (vec!["a", "b", "a"], "row_ids[2]"),
            (vec!["a", ""], "row_ids[1]"),
            (vec![long.as_str()], "row_ids[0]"),
            (vec!["a\n"], "row_ids[0]"),
        ] {
            let error = given(&ids).expect_err("refused");
            assert_eq!(error.field_path(), Some(field));
        }
        let mut rows = table(vec![("x", Column::Numbers(vec![1.0, 2.0]))]);
        let ids = given(&["a", "b"]).expect("valid").take_from(&mut rows);
        assert_eq!(ids.expect("ids").expect("some"), ["a", "b"]);
        let too_few = given(&["a"]).expect("valid").take_from(&mut rows);
        assert_eq!(too_few.expect_err("one").field_path(), Some("row_ids"));
        let both = RowIds::given(vec!["a".to_owned()], "id".to_owned());
        assert!(both.is_err());
    }
}
