//! Where the bytes of a file come from.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Error, Result, reason};

/// A file on disk or in memory. Cheap to clone; clones read independently of each other.
#[derive(Debug, Clone)]
pub struct Source {
    place: Place,
    length: u64,
}

#[derive(Debug, Clone)]
enum Place {
    Disk(Arc<File>),
    Memory(Bytes),
}

impl Source {
    /// A file on disk, open for reading. Nothing may change it while it is read.
    ///
    /// Fails when its length is not known.
    pub fn from_file(file: File) -> Result<Self> {
        let length = file.metadata().map_err(unreadable)?.len();
        Ok(Self {
            place: Place::Disk(Arc::new(file)),
            length,
        })
    }

    /// The length in bytes.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether there is not a byte.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The bytes from an offset on.
    pub(super) fn reader(&self, offset: u64) -> SourceReader {
        SourceReader {
            source: self.clone(),
            offset,
        }
    }

    /// So many bytes from an offset on. Fails when there are fewer, before any memory is taken.
    pub(super) fn bytes(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        if offset
            .checked_add(length as u64)
            .is_none_or(|end| end > self.length)
        {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match &self.place {
            Place::Disk(file) => {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, offset)?;
                Ok(bytes.into())
            }
            Place::Memory(bytes) => {
                let start = offset as usize;
                Ok(bytes.slice(start..start + length))
            }
        }
    }
}

impl From<Bytes> for Source {
    fn from(bytes: Bytes) -> Self {
        Self {
            length: bytes.len() as u64,
            place: Place::Memory(bytes),
        }
    }
}

/// Reads a source from an offset on.
#[derive(Debug)]
pub(super) struct SourceReader {
    source: Source,
    offset: u64,
}

impl Read for SourceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = match &self.source.place {
            Place::Disk(file) => file.read_at(buffer, self.offset)?,
            Place::Memory(bytes) => {
                let start = self.offset.min(self.source.length) as usize;
                (&bytes[start..]).read(buffer)?
            }
        };
        self.offset += n as u64;
        Ok(n)
    }
}

/// A file that could not be read, for no fault of its sender.
pub(super) fn unreadable(error: io::Error) -> Error {
    Error::new(reason::INTERNAL, "the file could not be read from disk").because(error)
}
