//! The generated protobuf types, clients and servers, and their descriptor set.
#![allow(missing_docs, unreachable_pub, clippy::all)]

/// Package `anomaly.v1`.
pub mod v1 {
    tonic::include_proto!("anomaly.v1");
}

/// The encoded `FileDescriptorSet` of all protos, comments included; reflection serves it.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
