//! The forms that rows come in, and the fields of a request in which a place in their table is found.

use crate::error::{Error, Place, PlacedColumn};

/// The form that the rows of a request come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// JSON-like rows, objects by name or arrays by position.
    Rows,
    /// JSON-like columns.
    Table,
    /// A matrix.
    Matrix,
    /// Typed columns: for each the field that holds its values.
    Columns(Vec<&'static str>),
    /// A file.
    File,
    /// A dataset.
    Dataset,
}

impl Form {
    /// The same error with the path of its place in the request, as in `records.rows[3].amount`, unless it has a path.
    pub fn locate(&self, error: Error) -> Error {
        let path = match (error.field_path(), error.place()) {
            (None, Some(place)) => self.path(place),
            _ => return error,
        };
        error.at(path)
    }

    fn path(&self, place: &Place) -> String {
        match self {
            Self::Rows => match place {
                Place::Row(row) | Place::Label(row) => format!("records.rows[{row}]"),
                Place::Cell { row, column } => match &column.name {
                    Some(name) => format!("records.rows[{row}].{name}"),
                    None => format!("records.rows[{row}][{}]", column.index),
                },
                Place::Column(_) => "records.rows".to_owned(),
            },
            Self::Table => match place {
                Place::Cell { row, column } => format!("{}[{row}]", in_table(column)),
                Place::Column(column) => in_table(column),
                Place::Row(_) | Place::Label(_) => "records.table".to_owned(),
            },
            Self::Matrix => match place {
                Place::Label(row) => format!("records.matrix.labels[{row}]"),
                Place::Column(PlacedColumn {
                    index,
                    name: Some(_),
                }) => {
                    format!("records.matrix.feature_names[{index}]")
                }
                _ => "records.matrix".to_owned(),
            },
            Self::Columns(values) => match place {
                Place::Cell { row, column } => {
                    let path = in_columns(column);
                    match values.get(column.index) {
                        Some(values) => format!("{path}.{values}.values[{row}]"),
                        None => path,
                    }
                }
                Place::Column(column) => in_columns(column),
                Place::Row(_) | Place::Label(_) => "records.columns".to_owned(),
            },
            Self::File => "records.file".to_owned(),
            Self::Dataset => "records.dataset_id".to_owned(),
        }
    }
}

fn in_table(column: &PlacedColumn) -> String {
    let name = column.name.as_deref().unwrap_or_default();
    match name.is_empty() {
        true => "records.table".to_owned(),
        false => format!("records.table.{name}"),
    }
}

fn in_columns(column: &PlacedColumn) -> String {
    format!("records.columns.columns[{}]", column.index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::reason;

    #[test]
    fn a_place_has_a_path_in_every_form() {
        let column = |name: Option<&str>| PlacedColumn {
            index: 1,
            name: name.map(str::to_owned),
        };
        let cell = |name| Place::Cell {
            row: 3,
            column: column(name),
        };
        let amount = Some("amount");
        let columns = || Form::Columns(vec!["texts", "numbers"]);
        for (form, place, path) in [
            (Form::Rows, cell(amount), "rows[3].amount"),
            (Form::Rows, cell(None), "rows[3][1]"),
            (Form::Rows, Place::Row(3), "rows[3]"),
            (Form::Rows, Place::Column(column(amount)), "rows"),
            (Form::Table, cell(amount), "table.amount[3]"),
            (Form::Table, Place::Column(column(amount)), "table.amount"),
            (Form::Table, Place::Column(column(Some(""))), "table"),
            (Form::Table, Place::Row(3), "table"),
            (Form::Matrix, cell(amount), "matrix"),
            (Form::Matrix, Place::Label(3), "matrix.labels[3]"),
            (
                Form::Matrix,
                Place::Column(column(amount)),
                "matrix.feature_names[1]",
            ),
            (Form::Matrix, Place::Column(column(None)), "matrix"),
            (
                columns(),
                cell(amount),
                "columns.columns[1].numbers.values[3]",
            ),
            (
                columns(),
                Place::Column(column(amount)),
                "columns.columns[1]",
            ),
            (columns(), Place::Row(3), "columns"),
            (Form::File, cell(amount), "file"),
            (Form::Dataset, Place::Row(3), "dataset_id"),
        ] {
            let error = Error::new(reason::TEXT_VALUE, "no").in_table(place.clone());
            let error = form.locate(error);
            let expected = format!("records.{path}");
            assert_eq!(
                error.field_path(),
                Some(&expected[..]),
                "{form:?} {place:?}"
            );
        }
    }

    #[test]
    fn a_path_that_is_known_stays() {
        let known = Error::field("spec.label_column", "no").in_table(Place::Row(3));
        let known = Form::Rows.locate(known);
        assert_eq!(known.field_path(), Some("spec.label_column"));
        let none = Form::Rows.locate(Error::new(reason::TEXT_VALUE, "no"));
        assert_eq!(none.field_path(), None);
    }
}
