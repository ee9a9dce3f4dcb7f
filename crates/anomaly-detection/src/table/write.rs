//! Writes tables to a file as an Arrow IPC stream, which keeps types and is written a table at a time.

use std::io::Write;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int32Array, LargeStringArray,
    RecordBatch, RecordBatchOptions, TimestampNanosecondArray, new_null_array,
};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};

use super::{ColumnType, ColumnView, MISSING_TIME, TextColumn};
use crate::error::{Error, Result, reason};

/// Writes rows, a table at a time. Readers get the same types and values; texts have a dictionary for each table.
pub struct ArrowWriter<W: Write> {
    writer: StreamWriter<W>,
    schema: SchemaRef,
}

impl<W: Write> ArrowWriter<W> {
    /// Starts a file with these columns.
    pub fn new<'a>(sink: W, columns: impl Iterator<Item = (&'a str, ColumnType)>) -> Result<Self> {
        let fields = columns.map(|(name, column_type)| {
            let data_type = match column_type {
                ColumnType::Number => DataType::Float64,
                ColumnType::Boolean => DataType::Boolean,
                ColumnType::Text => {
                    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::LargeUtf8))
                }
                ColumnType::Timestamp => {
                    DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
                }
            };
            Field::new(name, data_type, true)
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<Field>>()));
        let writer = StreamWriter::try_new(sink, &schema).map_err(failed)?;
        Ok(Self { writer, schema })
    }

    /// Appends rows: for each column its values, or `None` if all are missing. Booleans may be written to a column of numbers.
    ///
    /// # Errors
    /// Those of the sink.
    ///
    /// # Panics
    /// If there are not as many columns as the file has.
    pub fn write(&mut self, n_rows: usize, columns: &[Option<ColumnView<'_>>]) -> Result<()> {
        assert_eq!(
            columns.len(),
            self.schema.fields().len(),
            "number of columns"
        );
        let fields = self.schema.fields().iter();
        let arrays = fields
            .zip(columns)
            .map(|(field, column)| match column {
                Some(column) => array(*column, field.data_type()),
                None => Ok(new_null_array(field.data_type(), n_rows)),
            })
            .collect::<Result<Vec<ArrayRef>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(n_rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .and_then(|batch| self.writer.write(&batch))
            .map_err(failed)
    }

    /// Ends the file.
    pub fn finish(mut self) -> Result<()> {
        self.writer.finish().map_err(failed)
    }
}

fn array(column: ColumnView<'_>, data_type: &DataType) -> Result<ArrayRef> {
    Ok(match column {
        ColumnView::Booleans(values) if *data_type == DataType::Boolean => {
            let values = values.iter();
            let known = values.map(|value| (!value.is_nan()).then_some(*value != 0.0));
            Arc::new(known.collect::<BooleanArray>())
        }
        ColumnView::Numbers(values) | ColumnView::Booleans(values) => {
            Arc::new(Float64Array::from_iter_values(values.iter().copied()))
        }
        ColumnView::Texts(texts) => Arc::new(dictionary(texts)?),
        ColumnView::Times(times) => {
            let known = times
                .iter()
                .map(|&time| (time != MISSING_TIME).then_some(time));
            let times: TimestampNanosecondArray = known.collect();
            Arc::new(times.with_timezone("UTC"))
        }
    })
}

fn dictionary(texts: &TextColumn) -> Result<DictionaryArray<Int32Type>> {
    let keys: Int32Array = texts
        .codes()
        .iter()
        .map(|&code| i32::try_from(code).ok())
        .collect();
    let values = LargeStringArray::from_iter_values(texts.dictionary().iter());
    DictionaryArray::try_new(keys, Arc::new(values) as Arc<dyn Array>).map_err(failed)
}

/// Keeps an error of the sink as it is.
fn failed(error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(message, error) => match error.downcast::<Error>() {
            Ok(error) => error,
            Err(error) => Error::new(reason::INTERNAL, "a file could not be written")
                .because(error)
                .during(&message),
        },
        error => Error::new(reason::INTERNAL, "a table could not be written").because(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::read::{self, FileOptions, Limits};
    use crate::table::{Column, Table};

    #[test]
    fn written_tables_are_read_back_unchanged() {
        let texts = |rows: &[Option<&str>]| Column::Texts(rows.iter().copied().collect());
        let table = |columns| Table::from_columns(Some(names()), columns).expect("valid");
        fn names() -> Vec<String> {
            ["n", "b", "s", "t"].map(str::to_owned).to_vec()
        }
        let parts = [
            table(vec![
                Column::Numbers(vec![1.5, f64::INFINITY]),
                Column::Booleans(vec![1.0, f64::NAN]),
                texts(&[Some("x"), None]),
                Column::Times(vec![MISSING_TIME, 5]),
            ]),
            table(vec![
                Column::Numbers(vec![-0.0]),
                Column::Booleans(vec![0.0]),
                texts(&[Some("y")]),
                Column::Times(vec![-7]),
            ]),
        ];
        let mut file = Vec::new();
        let types = names().into_iter().zip([
            ColumnType::Number,
            ColumnType::Boolean,
            ColumnType::Text,
            ColumnType::Timestamp,
        ]);
        let types: Vec<_> = types.collect();
        let columns = types.iter().map(|(name, kind)| (name.as_str(), *kind));
        let mut writer = ArrowWriter::new(&mut file, columns).expect("to memory");
        for part in &parts {
            let columns: Vec<_> = (0..4).map(|i| Some(part.column(i))).collect();
            writer.write(part.n_rows(), &columns).expect("to memory");
        }
        writer.write(2, &[None; 4]).expect("to memory");
        writer.finish().expect("to memory");

        let back = read::read(&file, &FileOptions::default(), Limits::default()).expect("valid");
        assert_eq!(back.n_rows(), 5);
        let ColumnView::Numbers(n) = back.column(0) else {
            panic!("numbers");
        };
        assert_eq!(n.to_vec()[..3], [1.5, f64::INFINITY, 0.0]);
        assert!(n[3].is_nan() && n[4].is_nan());
        let ColumnView::Booleans(b) = back.column(1) else {
            panic!("booleans");
        };
        assert!(b[0] == 1.0 && b[1].is_nan() && b[2] == 0.0 && b[3].is_nan());
        let ColumnView::Texts(s) = back.column(2) else {
            panic!("texts");
        };
        let s: Vec<_> = (0..5).map(|row| s.get(row)).collect();
        assert_eq!(s, [Some("x"), None, Some("y"), None, None]);
        let ColumnView::Times(t) = back.column(3) else {
            panic!("times");
        };
        assert_eq!(t, [MISSING_TIME, 5, -7, MISSING_TIME, MISSING_TIME]);
    }

    #[test]
    fn an_error_of_the_sink_comes_out_as_it_went_in() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other(Error::new(
                    reason::DATASET_TOO_LARGE,
                    "full",
                )))
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let error = ArrowWriter::new(Full, [("a", ColumnType::Number)].into_iter())
            .map(drop)
            .expect_err("it is full");
        assert_eq!(error.reason(), reason::DATASET_TOO_LARGE);
    }
}
