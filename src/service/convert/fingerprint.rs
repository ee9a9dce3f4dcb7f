//! Fingerprints of requests, by which a retry is told from another request with the same id. Rows are added as they are held,
//! without a copy of their values.

use prost::Message;

use crate::caller::Fingerprint;
use crate::error::Result;
use crate::memory::RequestMemory;
use crate::proto::v1::records::Form;
use crate::proto::v1::typed_column::Values;
use crate::proto::v1::{Columns, FileContent, Matrix, Records, TypedColumn};
use crate::proto::{JsonColumn, aside};

/// How many numbers are added at a time.
const BLOCK: usize = 512;

/// Adds a message without rows.
pub(in crate::service) fn add_message(
    fingerprint: &mut Fingerprint,
    message: &impl Message,
    memory: &RequestMemory,
) -> Result<()> {
    let mut share = memory.share();
    share.grow(message.encoded_len())?;
    fingerprint.add(&message.encode_to_vec());
    Ok(())
}

/// Adds records, if there are any. The same rows in another form are another request.
pub(in crate::service) fn add_records(
    fingerprint: &mut Fingerprint,
    records: Option<&Records>,
    memory: &RequestMemory,
) -> Result<()> {
    let Some(records) = records else {
        return Ok(());
    };
    let mut share = memory.share();
    if let Some(Form::Table(table)) = &records.form {
        // the list of the columns, and what sorting it takes
        share.grow(table.len() * 2 * size_of::<JsonColumn<'_>>())?;
    }
    aside(memory.message_bytes(), || {
        add_given_records(fingerprint, records);
    });
    Ok(())
}

fn add_given_records(fingerprint: &mut Fingerprint, records: &Records) {
    let Records {
        form,
        row_ids,
        row_id_column,
    } = records;
    fingerprint.add(row_id_column.as_bytes());
    add_list(fingerprint, row_ids, |fingerprint, id| {
        fingerprint.add(id.as_bytes());
    });
    match form {
        None => fingerprint.add(b"none"),
        Some(Form::Rows(rows)) => {
            fingerprint.add(b"rows");
            fingerprint.add(rows.packed());
        }
        Some(Form::Table(table)) => {
            fingerprint.add(b"table");
            for column in table.columns() {
                fingerprint.add(column.name.as_bytes());
                fingerprint.add(column.packed().unwrap_or_default());
            }
        }
        Some(Form::Matrix(matrix)) => add_matrix(fingerprint, matrix),
        Some(Form::Columns(Columns { columns })) => {
            fingerprint.add(b"columns");
            add_list(fingerprint, columns, add_column);
        }
        Some(Form::File(file)) => add_file(fingerprint, file),
        Some(Form::DatasetId(id)) => {
            fingerprint.add(b"dataset_id");
            fingerprint.add(id.as_bytes());
        }
    }
}

fn add_matrix(fingerprint: &mut Fingerprint, matrix: &Matrix) {
    let Matrix {
        feature_names,
        n_columns,
        values,
        values_f64le,
        labels,
        n_rows,
        values_f32le,
    } = matrix;
    fingerprint.add(b"matrix");
    add_list(fingerprint, feature_names, |fingerprint, name| {
        fingerprint.add(name.as_bytes());
    });
    fingerprint.add(&n_columns.to_le_bytes());
    add_blocks(fingerprint, values, |value| value.to_le_bytes());
    fingerprint.add(values_f64le);
    add_blocks(fingerprint, labels, |label| label.to_le_bytes());
    fingerprint.add(&n_rows.map_or_else(Vec::new, |n| n.to_le_bytes().to_vec()));
    fingerprint.add(values_f32le);
}

fn add_column(fingerprint: &mut Fingerprint, column: &TypedColumn) {
    let TypedColumn {
        name,
        values,
        missing_rows,
    } = column;
    fingerprint.add(name.as_bytes());
    add_blocks(fingerprint, missing_rows, |row| row.to_le_bytes());
    match values {
        None => fingerprint.add(b"none"),
        Some(Values::Numbers(numbers)) => {
            fingerprint.add(b"numbers");
            add_blocks(fingerprint, &numbers.values, |number| number.to_le_bytes());
        }
        Some(Values::Texts(texts)) => {
            fingerprint.add(b"texts");
            fingerprint.add(&texts.len().to_le_bytes());
            for text in texts.iter() {
                fingerprint.add(text.as_bytes());
            }
        }
        Some(Values::Times(times)) => {
            fingerprint.add(b"times");
            add_blocks(fingerprint, &times.values, |time| {
                let nanos = i128::from(time.nanos);
                ((i128::from(time.seconds) << 32) | (nanos & 0xffff_ffff)).to_le_bytes()
            });
        }
    }
}

fn add_file(fingerprint: &mut Fingerprint, file: &FileContent) {
    let FileContent {
        content,
        format,
        csv,
    } = file;
    fingerprint.add(b"file");
    fingerprint.add(content);
    fingerprint.add(&format.to_le_bytes());
    fingerprint.add(&csv.as_ref().map(Message::encode_to_vec).unwrap_or_default());
}

/// Adds the number of items, and each of them.
fn add_list<T>(fingerprint: &mut Fingerprint, items: &[T], add: impl Fn(&mut Fingerprint, &T)) {
    fingerprint.add(&items.len().to_le_bytes());
    for item in items {
        add(fingerprint, item);
    }
}

/// Adds the number of values, and their bytes in blocks.
fn add_blocks<T, const N: usize>(
    fingerprint: &mut Fingerprint,
    values: &[T],
    bytes: impl Fn(&T) -> [u8; N],
) {
    fingerprint.add(&values.len().to_le_bytes());
    let mut block = Vec::with_capacity(BLOCK * N);
    for values in values.chunks(BLOCK) {
        block.clear();
        block.extend(values.iter().flat_map(&bytes));
        fingerprint.add(&block);
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;
    use crate::caller::RequestId;
    use crate::memory::{Budget, Holders};
    use crate::proto::v1::{CsvOptions, NumberValues, TimeValues};
    use crate::proto::{JsonRows, JsonTable};

    fn memory(limit: usize) -> RequestMemory {
        RequestMemory::new(&Budget::new(Holders::Requests, limit))
    }

    #[test]
    fn the_list_of_the_columns_counts() {
        const N: usize = 1000;
        let table = JsonTable::decode(&[0x0a, 0x00].repeat(N)[..]).expect("valid");
        let records = records(Form::Table(table));
        let add = |limit| {
            let fingerprint = |fingerprint: &mut Fingerprint| {
                add_records(fingerprint, Some(&records), &memory(limit))
            };
            RequestId::parse("a", "Train", fingerprint).map(|_| ())
        };
        let n_bytes = N * 2 * size_of::<JsonColumn<'_>>();
        add(n_bytes).expect("fits");
        add(n_bytes - 1).expect_err("does not fit");
    }

    fn id(records: &Records) -> RequestId {
        let id = RequestId::parse("a", "Train", |fingerprint| {
            add_records(fingerprint, Some(records), &memory(1 << 20))
        });
        id.expect("valid").expect("some")
    }

    fn object(fields: &[(&str, f64)]) -> Vec<u8> {
        let entries = fields.iter().map(|(name, number)| {
            let mut value = Vec::new();
            prost::encoding::double::encode(2, number, &mut value);
            let mut entry = Vec::new();
            prost::encoding::string::encode(1, &(*name).to_owned(), &mut entry);
            prost::encoding::bytes::encode(2, &value, &mut entry);
            entry
        });
        let mut fields = Vec::new();
        for entry in entries {
            prost::encoding::bytes::encode(1, &entry, &mut fields);
        }
        fields
    }

    fn rows(fields: &[(&str, f64)]) -> Form {
        let (mut value, mut list) = (Vec::new(), Vec::new());
        prost::encoding::bytes::encode(5, &object(fields), &mut value);
        prost::encoding::bytes::encode(1, &value, &mut list);
        Form::Rows(JsonRows::decode(&list[..]).expect("valid"))
    }

    fn records(form: Form) -> Records {
        Records {
            form: Some(form),
            ..Records::default()
        }
    }

    fn column(values: Values) -> Records {
        let column = TypedColumn {
            name: "c".to_owned(),
            values: Some(values),
            missing_rows: vec![1],
        };
        records(Form::Columns(Columns {
            columns: vec![column],
        }))
    }

    #[test]
    fn fields_in_another_order_are_the_same_request() {
        let first = id(&records(rows(&[("a", 1.0), ("b", 2.0)])));
        let again = id(&records(rows(&[("b", 2.0), ("a", 1.0)])));
        assert_eq!(first, again);
    }

    #[test]
    fn whatever_differs_is_another_request() {
        let matrix = Matrix {
            n_columns: 1,
            values: vec![1.0, 2.0],
            ..Matrix::default()
        };
        let file = FileContent {
            content: "a\n1\n".into(),
            ..FileContent::default()
        };
        let texts = |texts: &[&str]| column(Values::Texts(texts.iter().collect()));
        let times = |seconds, nanos| {
            column(Values::Times(TimeValues {
                values: vec![Timestamp { seconds, nanos }],
            }))
        };
        let all = [
            Records::default(),
            Records {
                row_ids: vec!["a".to_owned()],
                ..Records::default()
            },
            Records {
                row_id_column: "a".to_owned(),
                ..Records::default()
            },
            records(rows(&[("a", 1.0)])),
            records(rows(&[("a", 2.0)])),
            records(rows(&[("b", 1.0)])),
            records(Form::Table(
                JsonTable::decode(&object(&[("a", 1.0)])[..]).expect("valid"),
            )),
            records(Form::Matrix(matrix.clone())),
            records(Form::Matrix(Matrix {
                labels: vec![1.0, 2.0],
                values: Vec::new(),
                ..matrix.clone()
            })),
            records(Form::Matrix(Matrix {
                n_rows: Some(2),
                ..matrix.clone()
            })),
            records(Form::Matrix(Matrix {
                n_columns: 2,
                ..matrix.clone()
            })),
            records(Form::Matrix(Matrix {
                feature_names: vec!["a".to_owned()],
                ..matrix
            })),
            column(Values::Numbers(NumberValues { values: vec![1.0] })),
            texts(&["a", "b"]),
            texts(&["ab", ""]),
            times(1, 0),
            times(0, 1),
            records(Form::File(file.clone())),
            records(Form::File(FileContent {
                csv: Some(CsvOptions {
                    has_header: Some(false),
                    ..CsvOptions::default()
                }),
                ..file
            })),
            records(Form::DatasetId("a".to_owned())),
        ];
        for (index, first) in all.iter().enumerate() {
            for (other, second) in all.iter().enumerate() {
                assert_eq!(id(first) == id(second), index == other, "{index}, {other}");
            }
        }
    }
}
