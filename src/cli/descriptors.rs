//! The description of the API that the program carries.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, MessageDescriptor,
};

use crate::proto::DESCRIPTORS;

static POOL: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).ok());

/// A message of package `anomaly.v1`.
pub(super) fn message(name: &str) -> Option<MessageDescriptor> {
    let pool = POOL.as_ref()?;
    pool.get_message_by_name(&format!("anomaly.v1.{name}"))
}

/// The comment over a field, as one line.
pub(super) fn comment(field: &FieldDescriptor) -> String {
    let file = field.parent_file();
    let locations = file
        .file_descriptor_proto()
        .source_code_info
        .iter()
        .flat_map(|info| &info.location);
    let comment = locations
        .filter(|location| location.path == field.path())
        .find_map(|location| location.leading_comments.as_deref())
        .unwrap_or_default();
    let words: Vec<&str> = comment.split_whitespace().collect();
    words.join(" ").trim_end_matches('.').to_owned()
}

/// A message of package `anomaly.v1` with its description.
pub(super) fn describe(name: &str, message: &impl Message) -> Option<DynamicMessage> {
    DynamicMessage::decode(self::message(name)?, message.encode_to_vec().as_slice()).ok()
}

/// How a field is called on the command line: by its name, in the singular where it repeats.
pub(super) fn key(field: &FieldDescriptor) -> String {
    let name = field.name();
    if field.is_list() {
        name.strip_suffix('s').unwrap_or(name).to_owned()
    } else {
        name.to_owned()
    }
}

/// The values of an enum but the unspecified one, as they are called on the command line: `rbf` for `KERNEL_RBF`.
pub(super) fn words(description: &EnumDescriptor) -> Vec<(String, i32)> {
    let prefix = description
        .default_value()
        .name()
        .replace("UNSPECIFIED", "");
    let word = |name: &str| name.strip_prefix(&prefix).unwrap_or(name).to_lowercase();
    description
        .values()
        .skip(1)
        .map(|value| (word(value.name()), value.number()))
        .collect()
}
