//! Records, in each of their forms, to a table.

use super::rows;
use crate::error::{Error, Reason, Result};
use crate::le_bytes;
use crate::proto::v1::records::Form;
use crate::proto::v1::{File, FileFormat, Matrix, Records};
use crate::table::{Table, csv};

/// Reads records that must be there.
pub(in crate::service) fn required(records: Option<Records>) -> Result<Table> {
    optional(records)?.ok_or_else(|| {
        Error::new(
            Reason::InvalidRecords,
            "records are missing; give rows, a matrix or a file",
        )
        .at("records")
    })
}

/// Reads records that may be left out.
pub(in crate::service) fn optional(records: Option<Records>) -> Result<Option<Table>> {
    let Some(form) = records.and_then(|records| records.form) else {
        return Ok(None);
    };
    match form {
        Form::Rows(list) => in_form("records.rows", rows::read(list)),
        Form::Matrix(matrix) => in_form("records.matrix", read_matrix(matrix)),
        Form::File(file) => in_form("records.file", read_file(&file)),
    }
    .map(Some)
}

fn in_form(path: &str, table: Result<Table>) -> Result<Table> {
    table.map_err(|error| match error.field_path() {
        Some(_) => error.within(path),
        None => error.at(path),
    })
}

fn read_matrix(matrix: Matrix) -> Result<Table> {
    let names = matrix.feature_names;
    let n_columns = match (names.len(), matrix.n_columns as usize) {
        (0, 0) => {
            return Err(invalid(
                "n_columns",
                "n_columns is needed when the columns have no names".to_owned(),
            ));
        }
        (0, given) => given,
        (named, 0) => named,
        (named, given) if named == given => named,
        (named, given) => {
            return Err(invalid(
                "n_columns",
                format!("n_columns is {given}, but there are {named} feature_names"),
            ));
        }
    };
    let values = match (matrix.values.is_empty(), matrix.values_f64le.is_empty()) {
        (false, false) => {
            return Err(invalid(
                "values_f64le",
                "values and values_f64le exclude each other; give one".to_owned(),
            ));
        }
        (_, true) => matrix.values,
        (true, false) => le_bytes::decode(&matrix.values_f64le)
            .map_err(|problem| invalid("values_f64le", problem))?,
    };
    let table = Table::from_row_major((!names.is_empty()).then_some(names), n_columns, values)?;
    if matrix.labels.is_empty() {
        Ok(table)
    } else {
        table.with_labels(matrix.labels)
    }
}

fn read_file(file: &File) -> Result<Table> {
    match FileFormat::try_from(file.format) {
        Ok(FileFormat::Unspecified | FileFormat::Csv) => csv::read(&file.content),
        Err(_) => Err(invalid(
            "format",
            format!(
                "{} is no known file format; give FILE_FORMAT_CSV",
                file.format
            ),
        )),
    }
}

fn invalid(field: &str, message: String) -> Error {
    Error::new(Reason::InvalidRecords, message).at(field)
}
