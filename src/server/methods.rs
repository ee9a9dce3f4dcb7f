//! The methods in the descriptors: whether each is public, whether it may be called again, whether its messages are streams, and the
//! type of its requests.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use prost_types::method_options::IdempotencyLevel;

use super::message_types::{MessageType, Types};
use crate::proto::DESCRIPTORS;

/// A method of this server.
#[derive(Debug)]
pub(super) struct Method {
    /// Who may call it.
    pub(super) access: Access,
    /// Whether its request is a stream of messages.
    pub(super) takes_stream: bool,
    /// Whether its response is a stream of messages.
    pub(super) gives_stream: bool,
    /// The type of the messages of its requests, in this API.
    pub(super) request: Option<&'static MessageType>,
}

/// Who may call a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Anyone: it is one of health or reflection, which need no owner.
    Public,
    /// An owner: it is one of this API.
    Owned(IdempotencyLevel),
}

impl Method {
    /// Whether it is one of health or reflection.
    pub(super) fn is_public(&self) -> bool {
        self.access == Access::Public
    }

    /// Whether it changes something.
    pub(super) fn is_write(&self) -> bool {
        self.access == Access::Owned(IdempotencyLevel::IdempotencyUnknown)
    }
}

/// The method at a path, `/package.Service/Method`; `None` when there is none.
pub(super) fn method(path: &str) -> Option<&'static Method> {
    static METHODS: LazyLock<HashMap<String, Method>> = LazyLock::new(methods);
    METHODS.get(path)
}

/// The methods by their paths.
fn methods() -> HashMap<String, Method> {
    let mut methods = HashMap::new();
    for public in [
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ] {
        add(&mut methods, public, true);
    }
    add(&mut methods, DESCRIPTORS, false);
    methods
}

/// Adds the methods in a set of descriptors. The sets are compiled in; if one could not be decoded, a test would fail.
fn add(methods: &mut HashMap<String, Method>, descriptors: &[u8], is_public: bool) {
    let set = FileDescriptorSet::decode(descriptors).unwrap_or_default();
    let mut types = Types::of(&set);
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                let level = method
                    .options
                    .as_ref()
                    .map(|options| options.idempotency_level());
                let described = Method {
                    access: match is_public {
                        true => Access::Public,
                        false => Access::Owned(level.unwrap_or_default()),
                    },
                    takes_stream: method.client_streaming(),
                    gives_stream: method.server_streaming(),
                    request: (!is_public).then(|| types.message(method.input_type())),
                };
                methods.insert(path, described);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(path: &str) -> Option<Access> {
        method(path).map(|method| method.access)
    }

    #[test]
    fn every_method_is_known_and_the_levels_are_those_of_the_protos() {
        for path in [
            "/grpc.health.v1.Health/Check",
            "/grpc.health.v1.Health/Watch",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ] {
            assert_eq!(access(path), Some(Access::Public), "{path}");
        }
        for (name, level) in [
            ("Train", IdempotencyLevel::IdempotencyUnknown),
            ("Predict", IdempotencyLevel::Idempotent),
            ("GetModel", IdempotencyLevel::NoSideEffects),
        ] {
            let path = format!("/anomaly.v1.AnomalyService/{name}");
            assert_eq!(access(&path), Some(Access::Owned(level)), "{path}");
        }
        for path in ["", "/", "/anomaly.v1.AnomalyService/", "/x.Y/Z"] {
            assert_eq!(access(path), None, "{path}");
        }
    }

    #[test]
    fn streams_are_told_from_single_messages() {
        for (path, takes, gives) in [
            ("/anomaly.v1.AnomalyService/Predict", false, false),
            ("/anomaly.v1.AnomalyService/PredictStream", true, false),
            ("/anomaly.v1.AnomalyService/PredictDataset", false, true),
            ("/anomaly.v1.DatasetService/UploadDataset", true, false),
            (
                "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                true,
                true,
            ),
            ("/grpc.health.v1.Health/Watch", false, true),
            ("/grpc.health.v1.Health/Check", false, false),
        ] {
            let method = method(path).expect(path);
            assert_eq!(method.takes_stream, takes, "{path}");
            assert_eq!(method.gives_stream, gives, "{path}");
        }
    }
}
