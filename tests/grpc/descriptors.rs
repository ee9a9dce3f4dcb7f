//! The descriptors of the protos, which logs, authentication and the command line rely on.

use anomalyd::proto::DESCRIPTORS;
use prost::Message as _;
use prost_types::FileDescriptorSet;

#[test]
fn every_method_has_an_idempotency_level() {
    let set = FileDescriptorSet::decode(DESCRIPTORS).expect("descriptors");
    let files = set
        .file
        .iter()
        .filter(|file| file.package() == "anomaly.v1");
    let services = files.flat_map(|file| &file.service);
    let methods: Vec<_> = services
        .flat_map(|service| service.method.iter().map(|method| (service.name(), method)))
        .collect();
    assert!(methods.len() >= 13, "{}", methods.len());
    for (service, method) in methods {
        let level = method
            .options
            .as_ref()
            .and_then(|options| options.idempotency_level);
        assert!(
            level.is_some(),
            "{service}.{} has no idempotency_level",
            method.name()
        );
    }
}
