//! Converts records, in each of their forms, to rows.

use super::{columns, file, names_bytes, rows, table};
use crate::datasets::DatasetId;
use crate::error::{Error, Kind, Result, reason};
use crate::memory::{RequestMemory, Share};
use crate::proto::aside;
use crate::proto::v1::records;
use crate::proto::v1::{FileContent, Matrix, Records};
use crate::runs::{DatasetSource, Form, RowIds, RowSource, Rows};
use anomaly_detection::le_bytes;
use anomaly_detection::table::Table;

/// Converts records that must be given. `known_texts` are the columns of a CSV file that are read as texts if they exist. The rows
/// have a share of the memory of the request, which no longer counts the message.
pub(in crate::service) fn required(
    records: Option<Records>,
    known_texts: &[String],
    memory: &RequestMemory,
) -> Result<Rows> {
    optional(records, known_texts, memory)?.ok_or_else(|| {
        Error::new(
            reason::INVALID_RECORDS,
            "records are missing; give rows, a table, a matrix, columns, a file or a dataset_id",
        )
        .at("records")
    })
}

/// Converts records that may be left out.
pub(in crate::service) fn optional(
    records: Option<Records>,
    known_texts: &[String],
    memory: &RequestMemory,
) -> Result<Option<Rows>> {
    let Some(records) = records else {
        return Ok(None);
    };
    let mut share = memory.share();
    let id_bytes = names_bytes(records.row_ids.iter().map(String::as_str));
    // to compare them
    share.grow(id_bytes)?;
    let ids = RowIds::given(records.row_ids, records.row_id_column);
    let ids = ids.map_err(|error| error.within("records"))?;
    let known_texts = &texts(known_texts, &ids)[..];
    let Some(form) = records.form else {
        return match ids {
            RowIds::None => Ok(None),
            _ => Err(Error::new(
                reason::INVALID_RECORDS,
                "there are row ids, but no rows; give them in one of the forms of records",
            )
            .at("records")),
        };
    };
    let source = aside(memory.message_bytes(), || match form {
        records::Form::Rows(list) => {
            let table = rows::read(&list, &ids, &mut share);
            in_form("records.rows", Form::Rows, table)
        }
        records::Form::Table(fields) => {
            let table = table::read(&fields, &ids, &mut share);
            in_form("records.table", Form::Table, table)
        }
        records::Form::Matrix(matrix) => {
            let table = read_matrix(matrix, &mut share);
            in_form("records.matrix", Form::Matrix, table)
        }
        records::Form::Columns(message) => {
            let form = Form::Columns(columns::value_fields(&message));
            let table = columns::read(message, &mut share);
            in_form("records.columns", form, table)
        }
        records::Form::File(FileContent {
            content,
            format,
            csv,
        }) => file::options(format, csv, known_texts)
            .map(|options| RowSource::File(content, options))
            .map_err(|error| error.within("records.file")),
        records::Form::DatasetId(id) => dataset("records.dataset_id", id, known_texts, &ids),
    })?;
    share.join(memory.take_message());
    if let RowSource::Table(table, _) = &source {
        // the message is gone
        share.resize(table.n_bytes() + id_bytes)?;
    }
    Ok(Some(Rows { source, ids, share }))
}

/// The columns of a CSV file that are read as texts if they exist. The row ids are among them, so that they come back as they
/// were written.
pub(in crate::service) fn texts(known_texts: &[String], ids: &RowIds) -> Vec<String> {
    let mut texts = known_texts.to_vec();
    if let RowIds::Column(name) = ids {
        texts.push(name.clone());
    }
    texts
}

fn dataset(field: &str, id: String, known_texts: &[String], ids: &RowIds) -> Result<RowSource> {
    if matches!(ids, RowIds::Given(_)) {
        return Err(Error::field(
            "records.row_ids",
            "the row ids of a dataset are in one of its columns; name it in row_id_column",
        ));
    }
    Ok(RowSource::Dataset(DatasetSource {
        id: DatasetId::parse(field, id)?,
        known_texts: known_texts.to_vec(),
    }))
}

/// The table that was read in a form, whose message is at this path. Errors have this path or one below it.
fn in_form(path: &str, form: Form, read: Result<Table>) -> Result<RowSource> {
    match read {
        Ok(table) => Ok(RowSource::Table(table, form)),
        Err(error) if error.field_path().is_some() => Err(error.within(path)),
        Err(error) if error.place().is_some() => Err(form.locate(error)),
        // not the fault of the field
        Err(error) if error.kind() == Kind::ResourceExhausted => Err(error),
        Err(error) => Err(error.at(path)),
    }
}

fn read_matrix(matrix: Matrix, share: &mut Share) -> Result<Table> {
    let n_columns = n_columns(&matrix)?;
    let n_rows = matrix.n_rows;
    let forms = [
        ("values", !matrix.values.is_empty()),
        ("values_f64le", !matrix.values_f64le.is_empty()),
        ("values_f32le", !matrix.values_f32le.is_empty()),
    ];
    let mut given = forms.iter().filter(|(_, is_given)| *is_given);
    let (first, second) = (given.next(), given.next());
    if let (Some((first, _)), Some((second, _))) = (first, second) {
        let message = format!("{first} and {second} exclude each other; give one of them");
        return Err(invalid(second, message));
    }
    let form = first.map_or("values", |(form, _)| form);
    let at_form = |problem: String| invalid(form, problem);
    let values = match form {
        "values_f64le" => {
            share.grow(matrix.values_f64le.len())?;
            le_bytes::decode(&matrix.values_f64le).map_err(at_form)?
        }
        "values_f32le" => {
            share.grow(2 * matrix.values_f32le.len())?;
            let floats = le_bytes::numbers::<f32>(&matrix.values_f32le).map_err(at_form)?;
            floats.map(f64::from).collect()
        }
        _ => matrix.values,
    };
    if let Some(n_rows) = n_rows
        && u128::from(n_rows) * n_columns as u128 != values.len() as u128
    {
        let message = format!(
            "n_rows is {n_rows}, but {form} has {} values, which are not {n_rows} rows of {n_columns} columns",
            values.len()
        );
        return Err(invalid("n_rows", message));
    }
    let names = matrix.feature_names;
    let table = Table::from_row_major((!names.is_empty()).then_some(names), n_columns, values)?;
    if matrix.labels.is_empty() {
        Ok(table)
    } else {
        table.with_labels(matrix.labels)
    }
}

fn n_columns(matrix: &Matrix) -> Result<usize> {
    let message = match (matrix.feature_names.len(), matrix.n_columns as usize) {
        (0, 0) => "n_columns is needed when the columns have no names".to_owned(),
        (0, given) => return Ok(given),
        (named, 0) => return Ok(named),
        (named, given) if named == given => return Ok(named),
        (named, given) => format!("n_columns is {given}, but there are {named} feature_names"),
    };
    Err(invalid("n_columns", message))
}

fn invalid(field: &str, message: String) -> Error {
    Error::new(reason::INVALID_RECORDS, message).at(field)
}
