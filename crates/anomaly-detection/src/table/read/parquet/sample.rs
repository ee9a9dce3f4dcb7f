//! Files for tests.

use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, Encoding};
use ::parquet::file::properties::{WriterProperties, WriterVersion};
use arrow_array::{ArrayRef, RecordBatch, StringArray};

/// A file with these columns.
pub(super) fn written(columns: Vec<(&str, ArrayRef)>, codec: Compression) -> Vec<u8> {
    let properties = WriterProperties::builder().set_compression(codec).build();
    written_as(columns, properties)
}

/// A file with a column `t` of texts in one encoding.
pub(super) fn with_encoding(
    texts: &[Option<&str>],
    encoding: Encoding,
    version: WriterVersion,
) -> Vec<u8> {
    let column: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_encoding(encoding)
        .set_writer_version(version)
        .set_compression(Compression::SNAPPY)
        .build();
    written_as(vec![("t", column)], properties)
}

/// A file with these columns, written as the properties say.
pub(super) fn written_as(columns: Vec<(&str, ArrayRef)>, properties: WriterProperties) -> Vec<u8> {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("valid");
    let mut writer =
        ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).expect("valid");
    writer.write(&batch).expect("to memory");
    writer.into_inner().expect("to memory")
}
