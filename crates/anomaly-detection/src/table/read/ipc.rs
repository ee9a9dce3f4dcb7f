//! Arrow IPC, as a file or as a stream.
//!
//! The file form holds the stream form behind its magic; reading it in order needs no footer. Messages
//! are framed here, because every length in them must be checked before memory is taken for it; their content is arrow-rs's.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_buffer::Buffer;
use arrow_ipc::reader::{RecordBatchDecoder, read_dictionary};
use arrow_ipc::{Endianness, MessageHeader, MetadataVersion};
use arrow_schema::{Schema, SchemaRef};
use rayon::prelude::*;

use super::arrays::{ColumnBuilder, columns_of, guarded, in_column, text_bytes, unpanicked};
use super::asked::Asked;
use super::compression::error_of;
use super::format::{ARROW_MAGIC, CONTINUATION};
use super::{Limits, MoreMemory, check_cells};
use crate::error::{Error, Result};
use crate::table::{Column, ColumnType, MAX_CELLS, Table, invalid};

const FORMAT: &str = "Arrow IPC";

/// Reads a whole file, up to a number of values. Asks for the memory of its texts, and of what is compressed inside it.
pub(super) fn read(
    content: &[u8],
    limits: Limits,
    max_cells: usize,
    more: MoreMemory<'_>,
) -> Result<Table> {
    let mut file = IpcFile::open(content, limits)?;
    let mut columns = file.empty_columns();
    let mut n_rows = 0;
    let mut asked = Asked::default();
    while let Some(batch) = file.next_batch(n_rows, max_cells, more)? {
        n_rows += batch.num_rows();
        let so_far = columns.iter().map(ColumnBuilder::text_bytes);
        let texts = batch.columns().iter().map(|array| text_bytes(array));
        asked.reach(so_far.chain(texts).fold(0, usize::saturating_add), more)?;
        append(&mut columns, &batch, &file.names)?;
    }
    if n_rows == 0 {
        return Err(invalid("the records have no rows"));
    }
    let columns = columns.iter_mut().map(ColumnBuilder::take).collect();
    Table::from_columns(Some(file.names), columns)
}

fn append(columns: &mut [ColumnBuilder], batch: &RecordBatch, names: &[String]) -> Result<()> {
    columns
        .par_iter_mut()
        .zip(batch.columns())
        .zip(names)
        .try_for_each(|((column, array), name)| {
            unpanicked(FORMAT, || {
                column.append(array).map_err(|error| in_column(error, name))
            })
        })
}

/// An Arrow IPC file that is being read.
pub(super) struct IpcFile<R> {
    reader: R,
    is_file: bool,
    is_done: bool,
    schema: SchemaRef,
    dictionaries: HashMap<i64, ArrayRef>,
    /// How many bytes each dictionary takes at most.
    dictionary_bytes: HashMap<i64, u64>,
    /// The memory of the dictionaries and of what the batches decompress to.
    asked: Asked,
    /// The most bytes of a batch and the dictionaries so far.
    pub(super) most_held: u64,
    limits: Limits,
    pub(super) names: Vec<String>,
    pub(super) types: Vec<ColumnType>,
}

impl<R: Read> IpcFile<R> {
    /// Reads the schema.
    pub(super) fn open(mut reader: R, limits: Limits) -> Result<Self> {
        let mut start = [0; 8];
        let n = read_up_to(&mut reader, &mut start[..4])?;
        let is_file = n == 4 && start[..4] == ARROW_MAGIC[..4];
        if is_file {
            read_up_to(&mut reader, &mut start[4..])?;
            if !start.starts_with(ARROW_MAGIC) {
                return Err(invalid("the file is no Arrow IPC file"));
            }
        } else if n < 4 || start[..4] != CONTINUATION {
            return Err(invalid(
                "the file is no Arrow IPC file, or one from before version 0.15 of Arrow; write it again",
            ));
        }
        let mut file = Self {
            reader,
            is_file,
            is_done: false,
            schema: Arc::new(Schema::empty()),
            dictionaries: HashMap::new(),
            dictionary_bytes: HashMap::new(),
            asked: Asked::default(),
            most_held: 0,
            limits,
            names: Vec::new(),
            types: Vec::new(),
        };
        let metadata = match is_file {
            true => file.first_metadata()?,
            false => file.metadata_behind_marker()?,
        };
        let metadata = metadata.ok_or_else(|| invalid("the Arrow data has no schema"))?;
        let schema = unpanicked(FORMAT, || {
            let message = message_of(&metadata)?;
            let schema = message
                .header_as_schema()
                .ok_or_else(|| invalid("the first message is no schema"))?;
            if schema.endianness() == Endianness::Big {
                return Err(invalid("big-endian data is not supported"));
            }
            if message.version() < MetadataVersion::V4 {
                return Err(invalid("the format is older than version 4"));
            }
            guarded(FORMAT, || arrow_ipc::convert::try_fb_to_schema(schema))
        })?;
        (file.names, file.types) = columns_of(&schema)?;
        file.schema = Arc::new(schema);
        Ok(file)
    }

    /// A column of each type, without rows.
    pub(super) fn empty_columns(&self) -> Vec<ColumnBuilder> {
        let types = self.types.iter();
        types
            .map(|&column_type| ColumnBuilder::new(column_type, self.limits))
            .collect()
    }

    /// The rows of the next batch as columns; `None` after the last one.
    pub(super) fn next_columns(&mut self) -> Result<Option<Vec<Column>>> {
        let Some(batch) = self.next_batch(0, MAX_CELLS, &mut |_| Ok(()))? else {
            return Ok(None);
        };
        let mut columns = self.empty_columns();
        append(&mut columns, &batch, &self.names)?;
        Ok(Some(columns.iter_mut().map(ColumnBuilder::take).collect()))
    }

    /// The next batch that has rows, which must fit in a table of `max_cells` values together with `n_rows` others.
    fn next_batch(
        &mut self,
        n_rows: usize,
        max_cells: usize,
        more: MoreMemory<'_>,
    ) -> Result<Option<RecordBatch>> {
        while let Some(metadata) = self.next_metadata()? {
            let message = message_of(&metadata)?;
            let body = self.body(message.bodyLength())?;
            let version = message.version();
            match message.header_type() {
                MessageHeader::RecordBatch => {
                    let batch = message
                        .header_as_record_batch()
                        .ok_or_else(|| invalid("a record batch has no header"))?;
                    let length = usize::try_from(batch.length())
                        .map_err(|_| invalid("a record batch has a negative length"))?;
                    check_cells(n_rows.saturating_add(length), self.types.len(), max_cells)?;
                    let decompressed = self.check_buffers(&batch, &body)?;
                    self.hold(decompressed, body.len(), more)?;
                    let schema = Arc::clone(&self.schema);
                    let batch = guarded(FORMAT, || {
                        RecordBatchDecoder::try_new(
                            &body,
                            batch,
                            schema,
                            &self.dictionaries,
                            &version,
                        )?
                        .read_record_batch()
                    })?;
                    if batch.num_rows() > 0 {
                        return Ok(Some(batch));
                    }
                }
                MessageHeader::DictionaryBatch => {
                    let dictionary = message
                        .header_as_dictionary_batch()
                        .ok_or_else(|| invalid("a dictionary batch has no header"))?;
                    if let Some(values) = dictionary.data() {
                        let decompressed = self.check_buffers(&values, &body)?;
                        self.hold_dictionary(&dictionary, decompressed, body.len(), more)?;
                        // values without buffers, such as nulls, are bounded only by their number
                        let n_values = usize::try_from(values.length()).unwrap_or(usize::MAX);
                        check_cells(n_values, 1, max_cells)?;
                    }
                    let (schema, dictionaries) = (&self.schema, &mut self.dictionaries);
                    guarded(FORMAT, || {
                        read_dictionary(&body, dictionary, schema, dictionaries, &version)
                    })?;
                }
                other => {
                    return Err(invalid(format!(
                        "the file holds a message of type {other:?}"
                    )));
                }
            }
        }
        Ok(None)
    }

    /// Asks for the memory of the dictionaries and of a batch, whose body is there already.
    fn hold(&mut self, decompressed: u64, body: usize, more: MoreMemory<'_>) -> Result<()> {
        let bytes = self.dictionary_bytes.values().sum::<u64>() + decompressed;
        self.most_held = self.most_held.max(bytes + body as u64);
        self.asked
            .reach(usize::try_from(bytes).unwrap_or(usize::MAX), more)
    }

    /// Notes the bytes of a dictionary, which stays until another one replaces it.
    fn hold_dictionary(
        &mut self,
        dictionary: &arrow_ipc::DictionaryBatch<'_>,
        decompressed: u64,
        body: usize,
        more: MoreMemory<'_>,
    ) -> Result<()> {
        let bytes = self.dictionary_bytes.entry(dictionary.id()).or_default();
        if !dictionary.isDelta() {
            *bytes = 0;
        }
        *bytes += decompressed + body as u64;
        let limit = self.limits.message_bytes();
        if self.dictionary_bytes.values().sum::<u64>() > limit {
            return Err(invalid(format!(
                "the dictionaries take more than {limit} bytes, decompressed; write their columns as plain texts"
            )));
        }
        self.hold(0, 0, more)
    }

    /// Checks that buffers are inside the body, and the sizes that they claim to decompress to. Returns the sum of these.
    fn check_buffers(&self, batch: &arrow_ipc::RecordBatch<'_>, body: &Buffer) -> Result<u64> {
        let mut decompressed = 0_u64;
        for buffer in batch.buffers().iter().flatten() {
            let range = usize::try_from(buffer.offset())
                .ok()
                .zip(usize::try_from(buffer.length()).ok())
                .and_then(|(start, length)| body.get(start..start.checked_add(length)?))
                .ok_or_else(|| invalid("a buffer lies outside of its record batch"))?;
            if batch.compression().is_some() && !range.is_empty() {
                let claim = range
                    .first_chunk::<8>()
                    .map(|bytes| i64::from_le_bytes(*bytes))
                    .ok_or_else(|| invalid("a compressed buffer is cut off"))?;
                // -1 means that the buffer is not compressed after all
                let claim = u64::try_from(claim.max(0)).unwrap_or(0);
                decompressed = decompressed.saturating_add(claim);
            }
        }
        if decompressed > self.limits.message_bytes() {
            return Err(invalid(format!(
                "a record batch decompresses to more than {} bytes",
                self.limits.message_bytes()
            )));
        }
        Ok(decompressed)
    }

    /// The metadata of the first message of a file, which writers align to 8 or to 64 bytes.
    fn first_metadata(&mut self) -> Result<Option<Vec<u8>>> {
        const MAX_PADDING: usize = 64;
        let mut word = [0; 4];
        for _ in 0..MAX_PADDING / word.len() {
            if read_up_to(&mut self.reader, &mut word)? < word.len() {
                return Err(cut_off());
            }
            match word {
                CONTINUATION => return self.metadata_behind_marker(),
                [0, 0, 0, 0] => {}
                _ => break,
            }
        }
        Err(misplaced())
    }

    /// The metadata of the next message; `None` at the end.
    fn next_metadata(&mut self) -> Result<Option<Vec<u8>>> {
        if self.is_done {
            return Ok(None);
        }
        let mut marker = [0; 4];
        match read_up_to(&mut self.reader, &mut marker)? {
            // a stream may end without an end marker
            0 if !self.is_file => {
                self.is_done = true;
                Ok(None)
            }
            4 if marker == CONTINUATION => self.metadata_behind_marker(),
            4 => Err(misplaced()),
            _ => Err(cut_off()),
        }
    }

    fn metadata_behind_marker(&mut self) -> Result<Option<Vec<u8>>> {
        let mut length = [0; 4];
        if read_up_to(&mut self.reader, &mut length)? < 4 {
            return Err(cut_off());
        }
        match i32::from_le_bytes(length) {
            0 => {
                self.is_done = true;
                Ok(None)
            }
            length => self.take(i64::from(length)).map(Some),
        }
    }

    fn body(&mut self, length: i64) -> Result<Buffer> {
        self.take(length).map(Buffer::from_vec)
    }

    /// Allocates memory only as the bytes arrive, so that a false length costs nothing.
    fn take(&mut self, length: i64) -> Result<Vec<u8>> {
        let length =
            u64::try_from(length).map_err(|_| invalid("a message has a negative length"))?;
        if length > self.limits.message_bytes() {
            return Err(invalid(format!(
                "a message of {length} bytes is larger than {} bytes; write smaller record batches",
                self.limits.message_bytes()
            )));
        }
        let mut bytes = Vec::with_capacity(length.min(1 << 20) as usize);
        let n = self
            .reader
            .by_ref()
            .take(length)
            .read_to_end(&mut bytes)
            .map_err(error_of)?;
        if (n as u64) < length {
            return Err(cut_off());
        }
        Ok(bytes)
    }
}

fn message_of(metadata: &[u8]) -> Result<arrow_ipc::Message<'_>> {
    guarded(FORMAT, || arrow_ipc::root_as_message(metadata))
}

fn misplaced() -> Error {
    invalid("the Arrow data is damaged: a message does not begin as it should")
}

fn cut_off() -> Error {
    invalid("the Arrow data is cut off")
}

/// Reads until the buffer is full or nothing follows, and returns how much was read.
fn read_up_to(reader: &mut impl Read, buffer: &mut [u8]) -> Result<usize> {
    let mut n = 0;
    while n < buffer.len() {
        match reader.read(&mut buffer[n..]) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error_of(error)),
        }
    }
    Ok(n)
}

#[cfg(test)]
mod tests;
