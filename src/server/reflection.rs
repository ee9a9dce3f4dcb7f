//! gRPC reflection, v1 and v1alpha, which tells tools such as grpcurl which methods there are.

use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::service::Routes;
use tonic_reflection::server::Builder;

use crate::proto::DESCRIPTORS;

use super::ServeError;

/// The full names of our own services.
pub(super) fn service_names() -> Result<Vec<String>, ServeError> {
    let set = FileDescriptorSet::decode(DESCRIPTORS)
        .map_err(|error| ServeError::Reflection(error.to_string()))?;
    let names = set.file.iter().flat_map(|file| {
        file.service
            .iter()
            .map(move |service| format!("{}.{}", file.package(), service.name()))
    });
    Ok(names.collect())
}

/// Adds both versions of reflection, for our own services, health, and themselves.
pub(super) fn add_to(routes: Routes) -> Result<Routes, ServeError> {
    let builder = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // no message refers to them, but the details of errors consist of them
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let failed = |error: tonic_reflection::server::Error| ServeError::Reflection(error.to_string());
    Ok(routes
        .add_service(builder().build_v1().map_err(failed)?)
        .add_service(builder().build_v1alpha().map_err(failed)?))
}
