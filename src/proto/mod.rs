//! The generated protobuf types, clients and servers, their descriptor set, and own types for the messages that hold many
//! values.
//!
//! The generated type of a JSON value takes up to 35 times the bytes that it has on the wire. The own types are packed: they
//! take about as many.

mod cell;
mod codec;
mod json_rows;
mod json_table;
#[cfg(test)]
mod sample;
mod texts;

pub use cell::JsonCell;
pub(crate) use codec::aside;
pub use json_rows::{JsonRow, JsonRows, RowReader};
pub use json_table::{CellReader, JsonColumn, JsonTable};
pub use texts::TextValues;

/// Package `anomaly.v1`.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod v1 {
    tonic::include_proto!("anomaly.v1");
}

/// The encoded `FileDescriptorSet` of all protos, comments included; reflection serves it.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
