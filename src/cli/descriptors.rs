//! The descriptors of the API, which are compiled into the program.

use std::sync::LazyLock;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind,
    MessageDescriptor,
};

use crate::proto::DESCRIPTORS;

static POOL: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).ok());

/// A message of package `anomaly.v1`.
pub(super) fn message(name: &str) -> Option<MessageDescriptor> {
    let pool = POOL.as_ref()?;
    pool.get_message_by_name(&format!("anomaly.v1.{name}"))
}

/// An enum of package `anomaly.v1`.
fn enumeration(name: &str) -> Option<EnumDescriptor> {
    let pool = POOL.as_ref()?;
    pool.get_enum_by_name(&format!("anomaly.v1.{name}"))
}

/// The comment over a field, as one line.
pub(super) fn comment(field: &FieldDescriptor) -> String {
    comment_at(&field.parent_file(), field.path())
}

fn comment_at(file: &FileDescriptor, path: &[i32]) -> String {
    let locations = file
        .file_descriptor_proto()
        .source_code_info
        .iter()
        .flat_map(|info| &info.location);
    let comment = locations
        .filter(|location| location.path == path)
        .find_map(|location| location.leading_comments.as_deref())
        .unwrap_or_default();
    let words: Vec<&str> = comment.split_whitespace().collect();
    words.join(" ").trim_end_matches('.').to_owned()
}

/// A message of package `anomaly.v1` as a dynamic one.
pub(super) fn describe(name: &str, message: &impl Message) -> Option<DynamicMessage> {
    DynamicMessage::decode(self::message(name)?, message.encode_to_vec().as_slice()).ok()
}

/// The name of a field on the command line: its own, in the singular if it is repeated.
pub(super) fn key(field: &FieldDescriptor) -> String {
    let name = field.name();
    if field.is_list() {
        name.strip_suffix('s').unwrap_or(name).to_owned()
    } else {
        name.to_owned()
    }
}

/// The values of an enum without the unspecified one, by their words on the command line: `rbf` for `KERNEL_RBF`.
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

/// The word for a value of an enum of package `anomaly.v1`; empty for the unspecified one and unknown
/// ones.
pub(super) fn word(name: &str, number: i32) -> String {
    let words = enumeration(name).map(|description| words(&description));
    let mut words = words.into_iter().flatten();
    let found = words.find(|(_, known)| *known == number);
    found.map_or_else(String::new, |(word, _)| word)
}

/// Parses the words of an enum of package `anomaly.v1` to their numbers, with the comments of the API as help. Hyphens may
/// replace underscores; `short` are other names of some words.
pub(super) fn word_parser(
    name: &str,
    short: &[(&str, &'static str)],
) -> impl TypedValueParser<Value = i32> + use<> {
    let description = enumeration(name);
    let values = description.iter().flat_map(EnumDescriptor::values).skip(1);
    let comments = values.map(|value| comment_at(&value.parent_enum().parent_file(), value.path()));
    let known = description.as_ref().map(words).unwrap_or_default();
    let possible: Vec<PossibleValue> = known
        .iter()
        .zip(comments)
        .map(|((word, _), comment)| {
            let others = short.iter().filter(|(of, _)| of == word);
            PossibleValue::new(word.clone())
                .help(comment)
                .alias(word.replace('_', "-"))
                .aliases(others.map(|(_, short)| *short))
        })
        .collect();
    let parsed = possible.clone();
    PossibleValuesParser::new(possible).map(move |given: String| {
        let matching = parsed.iter().zip(&known);
        let mut matching = matching.filter(|(value, _)| value.matches(&given, false));
        matching.next().map_or(0, |(_, (_, number))| *number)
    })
}

/// The names of the boolean fields of a message of package `anomaly.v1`, with the comments of the API as help.
pub(super) fn flags_of(name: &str) -> PossibleValuesParser {
    let fields = message(name).into_iter().flat_map(|message| {
        let flags = message.fields().filter(|field| field.kind() == Kind::Bool);
        flags.collect::<Vec<_>>()
    });
    let possible =
        |field: FieldDescriptor| PossibleValue::new(field.name().to_owned()).help(comment(&field));
    PossibleValuesParser::new(fields.map(possible).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers_convert_both_ways() {
        let parser = word_parser("FileFormat", &[("json_lines", "jsonl")]);
        let command = clap::Command::new("x");
        for word in ["json_lines", "json-lines", "jsonl"] {
            let number = parser.parse_ref(&command, None, word.as_ref()).expect(word);
            assert_eq!(number, 3, "{word}");
        }
        assert!(parser.parse_ref(&command, None, "xml".as_ref()).is_err());
        assert_eq!(word("FileFormat", 3), "json_lines");
        assert_eq!(word("FileFormat", 0), "");
        assert_eq!(word("ColumnRole", 4), "time");
        assert_eq!(word("AnswerRows", 2), "anomalies");
        assert_eq!(word("Detail", 2), "full");
    }
}
