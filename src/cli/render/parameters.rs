//! Shows the parameters of a detector, in the form of `--param`.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage, Value};

use super::table;
use crate::cli::descriptors;
use crate::proto::v1::TrainingSpec;

/// The parameters that are set, as `key=value`.
pub(super) fn of(spec: &TrainingSpec) -> String {
    let described = descriptors::describe("TrainingSpec", spec);
    let detector = described.as_ref().and_then(|spec| {
        let oneof = spec
            .descriptor()
            .oneofs()
            .find(|oneof| oneof.name() == "detector")?;
        let field = oneof.fields().find(|field| spec.has_field(field))?;
        spec.get_field(&field).as_message().cloned()
    });
    let Some(detector) = detector else {
        return "-".to_owned();
    };
    let mut texts = Vec::new();
    add(&mut texts, "", &detector);
    if texts.is_empty() {
        "none".to_owned()
    } else {
        texts.join(", ")
    }
}

fn add(texts: &mut Vec<String>, prefix: &str, message: &DynamicMessage) {
    let description = message.descriptor();
    for field in description
        .fields()
        .filter(|field| message.has_field(field))
    {
        let key = format!("{prefix}{}", descriptors::key(&field));
        match message.get_field(&field).as_ref() {
            Value::Message(inner) => add(texts, &format!("{key}."), inner),
            Value::List(list) => {
                texts.extend(list.iter().map(|item| format!("{key}={}", item_of(item))))
            }
            value => texts.push(format!("{key}={}", scalar(&field, value))),
        }
    }
}

/// The parts of a message, as in `FEATURE:MEAN:STD`.
fn item_of(item: &Value) -> String {
    let Some(message) = item.as_message() else {
        return "-".to_owned();
    };
    let description = message.descriptor();
    let parts = description
        .fields()
        .map(|field| scalar(&field, message.get_field(&field).as_ref()));
    parts.collect::<Vec<_>>().join(":")
}

fn scalar(field: &FieldDescriptor, value: &Value) -> String {
    match (field.kind(), value) {
        (Kind::Enum(description), Value::EnumNumber(number)) => descriptors::words(&description)
            .into_iter()
            .find(|(_, known)| known == number)
            .map_or_else(|| number.to_string(), |(word, _)| word),
        (_, Value::F64(number)) => table::number(*number),
        (_, Value::String(text)) => text.clone(),
        (_, value) => value.to_string(),
    }
}
