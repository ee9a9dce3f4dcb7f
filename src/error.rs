//! The error type of the library, and the reasons that the server adds to the library's.

pub use anomaly_detection::error::{
    Error, Kind, Place, PlacedColumn, Reason, Result, chain, panic_message,
};

/// All reasons that a client can see.
pub mod reason {
    use anomaly_detection::error::Reason;

    pub use anomaly_detection::error::reason::*;

    /// The reason with this name.
    pub fn named(name: &str) -> Option<Reason> {
        let of_library = anomaly_detection::error::reason::ALL;
        let mut all = of_library.iter().chain(ALL).copied();
        all.find(|reason| reason.name() == name)
    }

    anomaly_detection::reasons! {
        /// A streamed request broke the order of header, records and end.
        INVALID_STREAM, InvalidArgument;
        /// The message could not be decoded.
        UNDECODABLE_MESSAGE, InvalidArgument;
        /// The request carries no usable bearer token.
        MISSING_TOKEN, Unauthenticated;
        /// The run does not exist for this token.
        RUN_NOT_FOUND, NotFound;
        /// The run exists, but not this version of it.
        VERSION_NOT_FOUND, NotFound;
        /// The dataset does not exist for this token.
        DATASET_NOT_FOUND, NotFound;
        /// The operation does not exist for this token, or ended too long ago.
        OPERATION_NOT_FOUND, NotFound;
        /// The operation was cancelled, or nobody has waited for it for too long.
        OPERATION_CANCELLED, Cancelled;
        /// A dataset of this id exists already.
        DATASET_EXISTS, AlreadyExists;
        /// The stored bytes of the dataset are not those that were uploaded.
        DATASET_DAMAGED, DataLoss;
        /// The datasets to combine have a column of the same name but of different types.
        COLUMN_TYPE_CLASH, InvalidArgument;
        /// The bytes that arrived are not those that were sent.
        CHECKSUM_MISMATCH, InvalidArgument;
        /// The run was deleted while the write was under way.
        RUN_DELETED, Aborted;
        /// The id of the request was used for another request.
        REQUEST_ID_REUSED, FailedPrecondition;
        /// Other writes to the run kept winning.
        WRITE_CONFLICT, Aborted;
        /// The message is larger than the server accepts.
        MESSAGE_TOO_LARGE, ResourceExhausted;
        /// The metadata of the request is larger than the server accepts.
        METADATA_TOO_LARGE, ResourceExhausted;
        /// The answer would be larger than the server sends.
        ANSWER_TOO_LARGE, ResourceExhausted;
        /// The disk of the server is full.
        STORAGE_FULL, ResourceExhausted;
        /// All permits for work are taken.
        OVERLOADED, ResourceExhausted;
        /// The request did not arrive.
        REQUEST_TIMEOUT, DeadlineExceeded;
        /// The server is stopping, or its store has failed.
        UNAVAILABLE, Unavailable;
    }
}
