//! What can go wrong in a store.

use std::io;
use std::sync::Arc;

use rustix::io::Errno;
use tokio::task::JoinError;

use super::BlobName;
use crate::error::{Error, reason};

/// What went wrong in a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A read or a write failed.
    #[error("cannot {what}")]
    Io {
        /// What was tried, such as `write a blob`.
        what: &'static str,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// What is stored is not what was written.
    #[error("{what} is damaged: {how}")]
    Damaged {
        /// What is damaged, such as `a blob`.
        what: &'static str,
        /// What was found, and what would be right.
        how: String,
    },
    /// There is no blob of this name.
    #[error("blob {name} does not exist")]
    BlobNotFound {
        /// The name.
        name: BlobName,
    },
    /// There is no log of this name.
    #[error("the log does not exist")]
    LogNotFound,
    /// A key, a record or an entry of a log is over its limit.
    #[error("{what} has {size} bytes, but at most {limit} are allowed")]
    TooLarge {
        /// What is too large, such as `a record`.
        what: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The most that is allowed, in bytes.
        limit: usize,
    },
    /// The store cannot be opened; the message is for the operator and says what to do.
    #[error("{0}")]
    Refused(String),
    /// Whether the write took effect is not known.
    #[error("it is not known whether the write took effect: {cause}")]
    Unknown {
        /// Why the outcome is unknown.
        cause: Arc<str>,
    },
    /// The store cannot be reached at the moment, and nothing was done. Try again later.
    #[error("the store cannot be reached: {cause}")]
    Unavailable {
        /// Why it cannot be reached.
        cause: Arc<str>,
    },
    /// The work panicked, which is a defect and is logged as a panic. The store is served as before.
    #[error("the work of the store panicked: {cause}")]
    Panicked {
        /// What the runtime says about the panic.
        cause: Arc<str>,
    },
    /// The store has failed for good and serves no more requests.
    #[error("the store has failed: {cause}")]
    Failed {
        /// Why it failed.
        cause: Arc<str>,
    },
}

impl StoreError {
    /// For `map_err`: turns an I/O error into one that says what was tried.
    pub(super) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    /// For `map_err`: the error of work that panicked on its thread.
    pub(super) fn panicked(error: JoinError) -> Self {
        Self::Panicked {
            cause: error.to_string().into(),
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let (reason, message) = match &error {
            StoreError::Io { source, .. }
                if matches!(
                    source.kind(),
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
                ) =>
            {
                (
                    reason::STORAGE_FULL,
                    "the disk of the server is full; nothing was stored",
                )
            }
            StoreError::Io { source, .. } if has_too_many_files(source) => (
                reason::STORAGE_FAILED,
                "the server has as many files open as it may; nothing was done, try again later",
            ),
            StoreError::Io { source, .. } if source.raw_os_error().is_some() => (
                reason::STORAGE_FAILED,
                "the disk of the server could not be read or written; try again later, and if that does not help, tell its operator",
            ),
            // not the system's, so ours
            StoreError::Io { .. } => (reason::INTERNAL, "the store could not read or write"),
            StoreError::Panicked { .. } => (reason::INTERNAL, "the work of the store panicked"),
            StoreError::TooLarge { .. } => (reason::INTERNAL, "a record does not fit the store"),
            StoreError::Damaged { .. } => (reason::DAMAGED_ARTIFACT, "what is stored is damaged"),
            StoreError::BlobNotFound { .. } | StoreError::LogNotFound => (
                reason::DAMAGED_ARTIFACT,
                "what is stored is damaged: a part of it is missing",
            ),
            StoreError::Unknown { .. } => (
                reason::UNAVAILABLE,
                "the store could not be reached during the write; it is not known whether the write took effect",
            ),
            StoreError::Unavailable { .. } => (
                reason::UNAVAILABLE,
                "the store cannot be reached at the moment; nothing was done, try again",
            ),
            StoreError::Refused(_) | StoreError::Failed { .. } => {
                (reason::UNAVAILABLE, "the store has failed")
            }
        };
        Error::new(reason, message).because(error)
    }
}

fn has_too_many_files(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_system_are_not_defects() {
        for (errno, text) in [
            (Errno::MFILE, "as many files open as it may"),
            (Errno::NFILE, "as many files open as it may"),
            (Errno::IO, "the disk of the server"),
            (Errno::ROFS, "the disk of the server"),
        ] {
            let error = Error::from(StoreError::io("write a blob")(errno.into()));
            assert_eq!(error.reason(), reason::STORAGE_FAILED, "{errno}");
            assert!(error.message().contains(text), "{error}");
        }
        for errno in [Errno::NOSPC, Errno::DQUOT] {
            let error = Error::from(StoreError::io("write a blob")(errno.into()));
            assert_eq!(error.reason(), reason::STORAGE_FULL, "{errno}");
        }
    }

    #[test]
    fn clients_see_a_reason_and_never_the_cause() {
        let source = io::Error::other("/secret/path");
        let error = Error::from(StoreError::io("write a blob")(source));
        assert_eq!(error.reason(), reason::INTERNAL);
        assert!(!error.to_string().contains("/secret"));
        let cause = std::error::Error::source(&error).expect("the cause is kept");
        assert_eq!(cause.to_string(), "cannot write a blob");

        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = Error::from(StoreError::io("write a blob")(full));
        assert_eq!(error.reason(), reason::STORAGE_FULL);

        let cause: Arc<str> = "disk full".into();
        let unknown = Error::from(StoreError::Unknown {
            cause: cause.clone(),
        });
        assert_eq!(unknown.reason(), reason::UNAVAILABLE);
        let unavailable = Error::from(StoreError::Unavailable {
            cause: cause.clone(),
        });
        assert_eq!(unavailable.reason(), reason::UNAVAILABLE);
        assert!(unavailable.message().contains("nothing was done"));
        assert_eq!(
            Error::from(StoreError::Failed { cause }).reason(),
            reason::UNAVAILABLE
        );
        assert_eq!(
            Error::from(StoreError::LogNotFound).reason(),
            reason::DAMAGED_ARTIFACT
        );
        let name = BlobName::random();
        let missing = Error::from(StoreError::BlobNotFound { name });
        assert_eq!(missing.reason(), reason::DAMAGED_ARTIFACT);
        let cause = std::error::Error::source(&missing).expect("the cause is kept");
        assert!(cause.to_string().contains(&name.to_string()), "it is named");
    }
}
