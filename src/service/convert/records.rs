//! Records, in each of their forms, to a table.

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::{columns, file, rows};
use crate::caller::Caller;
use crate::compute::Admission;
use crate::datasets::{DatasetId, Datasets, WholeTable};
use crate::error::{Error, Result, reason};
use crate::proto::v1::records::Form;
use crate::proto::v1::{File, Matrix, Records};
use crate::store::Store;
use anomaly_detection::le_bytes;
use anomaly_detection::pipeline::Draw;
use anomaly_detection::table::Table;
use anomaly_detection::table::read::{self, FileOptions, Limits};

/// Records that have been looked at.
pub(in crate::service) enum Input {
    /// Read already.
    Table(Table),
    /// A file that remains to be read, which takes a while.
    File(Bytes, FileOptions),
    /// A dataset that remains to be read, and the columns that are texts if they are there.
    Dataset(DatasetId, Vec<String>),
}

/// Looks at records that must be there. `known_texts` are the columns of a CSV file that are read as texts if they are there.
pub(in crate::service) fn required(
    records: Option<Records>,
    known_texts: &[String],
) -> Result<Input> {
    optional(records, known_texts)?.ok_or_else(|| {
        Error::new(
            reason::INVALID_RECORDS,
            "records are missing; give rows, a matrix, columns, a file or a dataset_id",
        )
        .at("records")
    })
}

/// Looks at records that may be left out.
pub(in crate::service) fn optional(
    records: Option<Records>,
    known_texts: &[String],
) -> Result<Option<Input>> {
    let Some(form) = records.and_then(|records| records.form) else {
        return Ok(None);
    };
    match form {
        Form::Rows(list) => in_form("records.rows", rows::read(list).map(Input::Table)),
        Form::Matrix(matrix) => in_form("records.matrix", read_matrix(matrix).map(Input::Table)),
        Form::Columns(message) => {
            in_form("records.columns", columns::read(message).map(Input::Table))
        }
        Form::File(File {
            content,
            format,
            csv,
        }) => in_form(
            "records.file",
            file::options(format, csv, known_texts).map(|options| Input::File(content, options)),
        ),
        Form::DatasetId(id) => DatasetId::parse("records.dataset_id", id)
            .map(|id| Input::Dataset(id, known_texts.to_vec())),
    }
    .map(Some)
}

impl Input {
    /// The table, and what is to be kept as long as it is in memory. A file or a dataset is read on the compute pool, behind a
    /// permit; of a dataset no more than the rows of the draw, if there is one.
    pub(in crate::service) async fn table<S: Store>(
        self,
        datasets: &Datasets<S>,
        caller: Caller,
        draw: Option<Draw>,
        admission: Admission,
    ) -> Result<(Table, Option<OwnedSemaphorePermit>)> {
        match self {
            Self::Table(table) => Ok((table, None)),
            Self::File(content, options) => {
                let parse = move |_: &_| {
                    in_form(
                        "records.file",
                        read::read(&content, &options, Limits::default()),
                    )
                };
                let table = datasets.compute().run(admission, caller.deadline, parse);
                Ok((table.await?, None))
            }
            Self::Dataset(id, known_texts) => {
                let whole = datasets.table(&caller, &id, &known_texts, draw, admission);
                let WholeTable { table, share } = whole
                    .await
                    .map_err(|error| error.at("records.dataset_id"))?;
                Ok((table, Some(share)))
            }
        }
    }
}

fn in_form<T>(path: &str, outcome: Result<T>) -> Result<T> {
    outcome.map_err(|error| match error.field_path() {
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

fn invalid(field: &str, message: String) -> Error {
    Error::new(reason::INVALID_RECORDS, message).at(field)
}
