//! What is stored of a dataset under its key: little, as records must be small. The rest lies in blobs.

use serde::{Deserialize, Serialize};

use crate::caller::RequestId;
use crate::error::{Error, Result, reason};
use crate::store::{BlobName, BlobRef};
use anomaly_detection::table::read::Format;

/// The record of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetRecord {
    /// Where the file lies, as it was uploaded.
    pub file: BlobRef,
    /// Where its [`Description`](super::Description) lies.
    pub description: BlobRef,
    /// The format of the file.
    pub format: Format,
    /// The number of rows.
    pub n_rows: u64,
    /// The number of columns.
    pub n_columns: u32,
    /// Whether a column holds texts, whose memory the number of rows does not bound.
    pub has_texts: bool,
    /// When the dataset was stored, in milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// The id of the request that made it.
    pub request_id: Option<String>,
}

impl DatasetRecord {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        rmp_serde::from_slice(bytes).map_err(|error| {
            Error::new(
                reason::DAMAGED_ARTIFACT,
                "the record of a dataset is damaged",
            )
            .because(error)
        })
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        rmp_serde::to_vec_named(self).map_err(|error| {
            Error::new(reason::INTERNAL, "a dataset's record cannot be encoded").because(error)
        })
    }

    /// The blobs of the dataset.
    pub(super) fn blobs(&self) -> [BlobName; 2] {
        [self.file.name, self.description.name]
    }

    /// Whether a request of this id made the dataset.
    pub(super) fn made_by(&self, request_id: Option<&RequestId>) -> bool {
        request_id.is_some_and(|id| self.request_id.as_deref() == Some(id.as_str()))
    }
}
