//! Reads files to be sent to the server: whole, or, if they are CSV, in chunks that are CSV files themselves.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::error::{Error, Result};
use crate::proto::v1::{self as pb, Records, records};

mod chunks;
mod options;

pub(super) use chunks::{Chunks, Limits};
pub(super) use options::FileArgs;

/// A source of bytes: a file, the standard input, or memory.
pub(super) type Source = Box<dyn Read + Send>;

/// The most bytes of a file in one message: gRPC has 32 bits for the length of a message.
const MAX_WHOLE: u64 = u32::MAX as u64 - 65_536;

/// Opens a file, or the standard input for `-`. Also returns its length if it is known.
pub(super) fn open(path: &Path) -> Result<(Source, Option<u64>)> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin()), None));
    }
    let file = File::open(path).map_err(|error| cannot_read(path, &error))?;
    let metadata = file.metadata().map_err(|error| cannot_read(path, &error))?;
    if metadata.is_dir() {
        return Err(cannot_read(path, &"it is a folder"));
    }
    let length = metadata.is_file().then_some(metadata.len());
    Ok((Box::new(file), length))
}

/// A file in memory, with the options to read it with.
#[derive(Debug, Clone)]
pub(super) struct Whole {
    content: Bytes,
    path: PathBuf,
    args: FileArgs,
}

impl Whole {
    /// Reads a file.
    pub(super) fn read(path: &Path, args: &FileArgs) -> Result<Self> {
        let too_long = || {
            cannot_read(path, &"it is too large for one message")
                .hint(
                    "upload it with `anomalyd dataset upload`, and name it with --dataset; a large CSV file can also be scored \
                     with `predict --stream`",
                )
        };
        let (source, length) = open(path)?;
        if length.is_some_and(|length| length > MAX_WHOLE) {
            return Err(too_long());
        }
        let mut content = Vec::new();
        source
            .take(MAX_WHOLE + 1)
            .read_to_end(&mut content)
            .map_err(|error| cannot_read(path, &error))?;
        if content.len() as u64 > MAX_WHOLE {
            return Err(too_long());
        }
        Ok(Self {
            content: content.into(),
            path: path.to_owned(),
            args: args.clone(),
        })
    }

    /// Records with the content, without the columns to drop.
    pub(super) fn records(&self, drop: &[String]) -> Result<Records> {
        if drop.is_empty() {
            let format = self.args.format();
            return Ok(records(self.content.clone(), format, self.args.csv()));
        }
        let Some(mut chunks) = self.chunks(drop, false)? else {
            return Err(Error::usage(
                "--drop works on CSV files only; for other formats, leave the column out when training, with --ignore",
            ));
        };
        match chunks.next(Limits::NONE)? {
            Some(chunk) => Ok(chunk.into_records()),
            None => Err(no_rows(&self.path)),
        }
    }

    /// The decimal sign, if the file is CSV.
    pub(super) fn decimal(&self) -> char {
        self.args.decimal()
    }

    /// The rows with all their columns, if the file is CSV.
    pub(super) fn rows(&self) -> Result<Option<Chunks>> {
        self.chunks(&[], true)
    }

    fn chunks(&self, drop: &[String], keep_records: bool) -> Result<Option<Chunks>> {
        let source = Box::new(Cursor::new(self.content.clone()));
        let mut chunks = Chunks::of_csv(source, &self.path, &self.args, drop, keep_records)?;
        if let Some(chunks) = &mut chunks {
            // all rows are one chunk
            chunks.leave_types_open(|_| true);
        }
        Ok(chunks)
    }
}

/// Records with the content of a file.
pub(super) fn records(
    content: impl Into<Bytes>,
    format: i32,
    csv: Option<pb::CsvOptions>,
) -> Records {
    Records {
        form: Some(records::Form::File(pb::FileContent {
            content: content.into(),
            format,
            csv,
        })),
        ..Records::default()
    }
}

/// Records with a comma-separated file.
pub(super) fn csv_records(content: impl Into<Bytes>) -> Records {
    records(content, pb::FileFormat::Csv.into(), None)
}

/// Records that are the rows of a dataset.
pub(super) fn dataset_records(id: &str) -> Records {
    Records {
        form: Some(records::Form::DatasetId(id.to_owned())),
        ..Records::default()
    }
}

/// The error of a table without rows.
pub(super) fn no_rows(path: &Path) -> Error {
    Error::failed(format!("{} has no rows below its header", name(path)))
}

pub(super) fn name(path: &Path) -> String {
    match path.to_str() {
        Some("-") => "the standard input".to_owned(),
        _ => path.display().to_string(),
    }
}

pub(super) fn cannot_read(path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::failed(format!("cannot read {}: {why}", name(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Whole::read(Path::new("/nonexistent/x.csv"), &FileArgs::default())
            .expect_err("not there");
        assert!(format!("{error:?}").contains("/nonexistent/x.csv"));
    }

    #[test]
    fn columns_are_dropped_from_csv_alone() {
        let whole = |content: &'static [u8]| Whole {
            content: content.into(),
            path: "t".into(),
            args: FileArgs::default(),
        };
        let drop = ["t".to_owned()];
        let sent = whole(b"t;x\nmon;1,5\n").records(&drop).expect("valid");
        let Some(records::Form::File(file)) = sent.form else {
            panic!("a file");
        };
        assert_eq!(&file.content[..], b"x\n1,5\n");
        assert_eq!(file.csv.expect("options").delimiter, ";");
        let error = whole(b"[{\"t\": 1}]").records(&drop).expect_err("JSON");
        assert_eq!(error.exit_code(), Some(2));
        // without columns to drop, the content is not read
        assert!(whole(b"[{\"t\": 1}]").records(&[]).is_ok());
        assert!(whole(b"[{\"t\": 1}]").rows().expect("readable").is_none());
    }
}
