//! The record of a dataset. Records must be small, so most is in blobs.

use serde::{Deserialize, Serialize};

use crate::caller::RequestId;
use crate::error::Result;
use crate::store::{BlobName, BlobRef, Record};
use anomaly_detection::envelope::Envelope;
use anomaly_detection::table::read::Format;

const DATASET: Envelope = Envelope {
    what: "record of a dataset",
    magic: *b"ANOM-SET",
    format: 1,
};

/// The record of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetRecord {
    /// The blob of the file, as it was uploaded.
    pub file: BlobRef,
    /// The blob of its [`Description`](super::Description).
    pub description: BlobRef,
    /// The format of the file.
    pub format: Format,
    /// The number of rows.
    pub n_rows: u64,
    /// The number of columns.
    pub n_columns: u32,
    /// Whether a column holds texts, whose memory is not bounded by the number of rows.
    pub has_texts: bool,
    /// When the dataset was stored, in milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// The id of the request that made it.
    pub request_id: Option<RequestId>,
}

impl DatasetRecord {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        DATASET.decode_bare(bytes)
    }

    /// The record as it is stored, with the blobs that it refers to.
    pub(super) fn encode(&self) -> Result<Record> {
        Ok(Record::with_blobs(
            DATASET.encode_bare(self)?,
            vec![self.file.id(), self.description.id()],
        ))
    }

    /// The blobs of the dataset.
    pub(super) fn blobs(&self) -> [BlobName; 2] {
        [self.file.name, self.description.name]
    }

    /// Whether this request has made the dataset before. Fails if another request with its id did.
    pub(super) fn made_by(&self, request_id: Option<&RequestId>) -> Result<bool> {
        match (request_id, &self.request_id) {
            (Some(request_id), Some(earlier)) => request_id.repeats(earlier),
            _ => Ok(false),
        }
    }
}
