//! The methods in the descriptors: whether each is public, whether it may be called again, and whether its request is a stream.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use prost_types::method_options::IdempotencyLevel;

use crate::proto::DESCRIPTORS;

/// A method of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// A method of health or reflection, which need no owner.
    Public,
    /// A method of this API, which acts for an owner.
    Owned(IdempotencyLevel),
}

/// Each method, and whether its request is a stream.
static METHODS: LazyLock<HashMap<String, (Method, bool)>> = LazyLock::new(|| {
    let public = [
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let public = public.into_iter().flat_map(methods);
    let public = public.map(|(path, _, streams)| (path, (Method::Public, streams)));
    let owned = methods(DESCRIPTORS);
    let owned = owned.map(|(path, level, streams)| (path, (Method::Owned(level), streams)));
    public.chain(owned).collect()
});

/// The method at a path, `/package.Service/Method`; `None` when there is none.
pub(crate) fn method(path: &str) -> Option<Method> {
    METHODS.get(path).map(|(method, _)| *method)
}

/// Whether the request of the method at a path is a stream of messages.
pub(crate) fn is_client_streaming(path: &str) -> bool {
    METHODS.get(path).is_some_and(|(_, streams)| *streams)
}

/// The paths of the methods in a set of descriptors, with their levels and whether their requests are streams. The sets are
/// compiled in; if one could not be decoded, a test would fail.
fn methods(descriptors: &[u8]) -> impl Iterator<Item = (String, IdempotencyLevel, bool)> + use<> {
    let set = FileDescriptorSet::decode(descriptors).unwrap_or_default();
    set.file.into_iter().flat_map(|file| {
        let package = file.package().to_owned();
        file.service.into_iter().flat_map(move |service| {
            let service_path = format!("/{package}.{}", service.name());
            service.method.into_iter().map(move |method| {
                let path = format!("{service_path}/{}", method.name());
                let streams = method.client_streaming();
                let options = method.options.unwrap_or_default();
                (path, options.idempotency_level(), streams)
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_known_and_the_levels_are_those_of_the_protos() {
        for path in [
            "/grpc.health.v1.Health/Check",
            "/grpc.health.v1.Health/Watch",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ] {
            assert_eq!(method(path), Some(Method::Public), "{path}");
        }
        for (name, level) in [
            ("Train", IdempotencyLevel::IdempotencyUnknown),
            ("Predict", IdempotencyLevel::Idempotent),
            ("GetModel", IdempotencyLevel::NoSideEffects),
        ] {
            let path = format!("/anomaly.v1.AnomalyService/{name}");
            assert_eq!(method(&path), Some(Method::Owned(level)), "{path}");
        }
        for path in ["", "/", "/anomaly.v1.AnomalyService/", "/x.Y/Z"] {
            assert_eq!(method(path), None, "{path}");
        }
    }

    #[test]
    fn requests_that_are_streams_are_told_from_single_messages() {
        for (path, streams) in [
            ("/anomaly.v1.AnomalyService/PredictStream", true),
            ("/anomaly.v1.DatasetService/UploadDataset", true),
            (
                "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                true,
            ),
            ("/anomaly.v1.AnomalyService/PredictDataset", false),
            ("/grpc.health.v1.Health/Watch", false),
            ("/x.Y/Z", false),
        ] {
            assert_eq!(is_client_streaming(path), streams, "{path}");
        }
    }
}
