//! The source of the bytes of a file.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::compression::error_of;
use crate::context::Step;
use crate::error::{Error, Result, reason};

/// Bytes that can be read at any offset and never change, such as a file on disk or an object in a store.
pub trait ReadAt: fmt::Debug + Send + Sync {
    /// Reads bytes from an offset on into the buffer, and returns how many. They may be fewer than there is room for; 0 means
    /// that the offset is at or beyond the end.
    ///
    /// # Errors
    /// The error that prevented reading. An [`Error`] inside of it becomes the error of whoever reads the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buffer, offset)
    }
}

/// A file on disk, in a store or in memory. Cheap to clone; clones read independently of each other.
#[derive(Debug, Clone)]
pub struct Source {
    place: Place,
    length: u64,
}

#[derive(Debug, Clone)]
enum Place {
    Reader(Arc<dyn ReadAt>),
    Memory(Bytes),
}

impl Source {
    /// A file on disk, open for reading. Nothing may change it while it is read.
    ///
    /// Fails when its length is not known.
    pub fn from_file(file: File) -> Result<Self> {
        let length = file.metadata().map_err(unreadable)?.len();
        Ok(Self::from_reader(Arc::new(file), length))
    }

    /// A source of this many bytes that can be read at any offset.
    pub fn from_reader(reader: Arc<dyn ReadAt>, length: u64) -> Self {
        Self {
            place: Place::Reader(reader),
            length,
        }
    }

    /// The length in bytes.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The same source, of which every byte that is read advances the step. Reading from memory takes no time that counts.
    pub(super) fn advancing(&self, step: Step) -> Self {
        match &self.place {
            Place::Reader(reader) => {
                let reader = Arc::clone(reader);
                Self::from_reader(Arc::new(Advancing { reader, step }), self.length)
            }
            Place::Memory(_) => self.clone(),
        }
    }

    /// The same source, and a watch over its reads.
    pub(super) fn watched(&self) -> (Self, Watch) {
        let watch = Watch::default();
        let place = match &self.place {
            Place::Memory(bytes) => Place::Memory(bytes.clone()),
            Place::Reader(reader) => Place::Reader(Arc::new(Watched {
                reader: Arc::clone(reader),
                watch: watch.clone(),
            })),
        };
        let length = self.length;
        (Self { place, length }, watch)
    }

    /// The bytes from an offset on.
    pub(super) fn reader(&self, offset: u64) -> SourceReader {
        SourceReader {
            source: self.clone(),
            offset,
        }
    }

    /// This many bytes from an offset on. Fails before allocating memory when there are fewer.
    pub(super) fn bytes(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        if offset
            .checked_add(length as u64)
            .is_none_or(|end| end > self.length)
        {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match &self.place {
            Place::Reader(reader) => {
                let mut bytes = vec![0; length];
                read_exact_at(&**reader, &mut bytes, offset)?;
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

/// A reader whose bytes advance a step.
#[derive(Debug)]
struct Advancing {
    reader: Arc<dyn ReadAt>,
    step: Step,
}

impl ReadAt for Advancing {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let n = self.reader.read_at(buffer, offset)?;
        self.step.advance(n);
        Ok(n)
    }
}

/// Keeps the first error of the reads of a source. A decoder may take a failed read for the end of the file or for a defect of
/// its content.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch(Arc<Mutex<Option<io::Error>>>);

impl Watch {
    /// The result of reading a file, unless a read of its source has failed: then that is the error.
    pub(super) fn over<T>(&self, result: Result<T>) -> Result<T> {
        match self.lock().take() {
            Some(failed) => Err(error_of(failed)),
            None => result,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<io::Error>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader whose first error is kept.
#[derive(Debug)]
struct Watched {
    reader: Arc<dyn ReadAt>,
    watch: Watch,
}

impl ReadAt for Watched {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.reader.read_at(buffer, offset).map_err(|error| {
            // to be tried again
            if error.kind() == io::ErrorKind::Interrupted {
                return error;
            }
            let passed_on = io::Error::new(error.kind(), "the file cannot be read");
            self.watch.lock().get_or_insert(error);
            passed_on
        })
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
            Place::Reader(reader) => reader.read_at(buffer, self.offset)?,
            Place::Memory(bytes) => {
                let start = self.offset.min(self.source.length) as usize;
                (&bytes[start..]).read(buffer)?
            }
        };
        self.offset += n as u64;
        Ok(n)
    }
}

fn read_exact_at(reader: &dyn ReadAt, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    let mut n_read = 0;
    while n_read < buffer.len() {
        match reader.read_at(&mut buffer[n_read..], offset + n_read as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => n_read += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The error for a file that could not be read through no fault of its sender: the system's, or a defect.
pub(super) fn unreadable(error: io::Error) -> Error {
    let reason = match error.raw_os_error() {
        Some(_) => reason::STORAGE_FAILED,
        None => reason::INTERNAL,
    };
    Error::new(reason, "the file could not be read from disk").because(error)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Returns three bytes at a time, and is interrupted at every other call.
    #[derive(Debug)]
    struct Slow(AtomicUsize);

    impl ReadAt for Slow {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            let n_calls = self.0.fetch_add(1, Ordering::SeqCst);
            if n_calls.is_multiple_of(2) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let rest = &b"0123456789"[(offset as usize).min(10)..];
            let n = buffer.len().min(rest.len()).min(3);
            buffer[..n].copy_from_slice(&rest[..n]);
            Ok(n)
        }
    }

    #[test]
    fn a_reader_that_gives_little_at_a_time_gives_all() {
        let source = Source::from_reader(Arc::new(Slow(0.into())), 10);
        assert_eq!(source.bytes(1, 8).expect("there"), &b"12345678"[..]);
        assert!(source.bytes(3, 8).is_err(), "behind the end");
        let mut text = String::new();
        let mut rest = source.reader(4);
        rest.read_to_string(&mut text).expect("readable");
        assert_eq!(text, "456789");
        let longer = Source::from_reader(Arc::new(Slow(0.into())), 11);
        let cut = longer.bytes(0, 11).expect_err("it is cut short");
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn an_error_of_the_system_is_not_a_defect() {
        const EIO: i32 = 5;
        let of_the_disk = unreadable(io::Error::from_raw_os_error(EIO));
        assert_eq!(of_the_disk.reason(), reason::STORAGE_FAILED);
        let ours = unreadable(io::Error::other("a decoder's"));
        assert_eq!(ours.reason(), reason::INTERNAL);
    }
}
