//! The ids of datasets.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::caller::{RequestId, check_name};
use crate::error::{Error, Result, reason};
use crate::store::StoreError;

/// A dataset id, checked by [`check_name`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatasetId(String);

impl DatasetId {
    /// Checks the dataset id in a field of a request.
    pub fn parse(field: &str, id: impl Into<String>) -> Result<Self> {
        let id = id.into();
        check_name(field, &id)?;
        Ok(Self(id))
    }

    /// A new id for a request without one. The same request id gives the same id, so that a retry finds what
    /// was stored.
    pub fn generated(request_id: Option<&RequestId>) -> Self {
        let bytes: [u8; 16] = match request_id {
            None => uuid::Uuid::new_v4().into_bytes(),
            Some(id) => {
                let hash = Sha256::new()
                    .chain_update(b"dataset\0")
                    .chain_update(id.as_str());
                let mut bytes = [0; 16];
                bytes.copy_from_slice(&hash.finalize()[..16]);
                bytes
            }
        };
        Self(format!("{:032x}", u128::from_be_bytes(bytes)))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The error for a dataset that does not exist or belongs to another owner: the same for both.
    pub(super) fn not_found(&self) -> Error {
        Error::new(
            reason::DATASET_NOT_FOUND,
            format!(
                "there is no dataset {:?} under this token; upload one first",
                self.0
            ),
        )
    }

    /// The error for a blob of this dataset that cannot be read.
    pub(super) fn unreadable(&self, error: StoreError) -> Error {
        match error {
            StoreError::Damaged { .. } | StoreError::BlobNotFound { .. } => Error::new(
                reason::DATASET_DAMAGED,
                format!(
                    "the dataset {:?} is damaged: what the server has stored of it is not what was uploaded; delete it, and \
                     upload it again",
                    self.0
                ),
            )
            .because(error),
            error => error.into(),
        }
    }

    /// The error for an id that is taken.
    pub(super) fn exists(&self) -> Error {
        Error::new(
            reason::DATASET_EXISTS,
            format!(
                "there is a dataset {:?} already, and datasets never change; delete it first, or choose another dataset_id",
                self.0
            ),
        )
    }
}

impl fmt::Display for DatasetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_ids_are_valid_and_follow_the_request_id() {
        let request_id = |id: &str| RequestId::parse(id, "", |_| Ok(())).expect("valid");
        let of = |id: &str| DatasetId::generated(request_id(id).as_ref());
        assert_eq!(of("a"), of("a"));
        assert_ne!(of("a"), of("b"));
        assert_ne!(DatasetId::generated(None), DatasetId::generated(None));
        assert!(DatasetId::parse("dataset_id", of("a").as_str()).is_ok());
    }
}
