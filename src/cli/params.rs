//! `--detector` and `--param`: converts text to the typed messages of the API.
//!
//! The choices follow from the descriptors of the API: the detectors are the members of the `detector` oneof of a
//! training spec, and their parameters the fields of these messages.

use std::str::FromStr;

use clap::builder::PossibleValue;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, OneofDescriptor, ReflectMessage,
    Value,
};

use super::descriptors;
use super::error::{Error, Result};
use super::suggest::did_you_mean;
use crate::proto::v1::TrainingSpec;
use crate::proto::v1::training_spec::Detector;

/// One `KEY=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Param {
    key: String,
    value: String,
}

impl FromStr for Param {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => Ok(Self {
                key: key.trim().to_owned(),
                value: value.trim().to_owned(),
            }),
            _ => Err("expected KEY=VALUE, for example n_estimators=200".to_owned()),
        }
    }
}

/// The names of the detectors, with the comments of the API as help.
pub(super) fn detector_names() -> Vec<PossibleValue> {
    let Ok(detectors) = detectors() else {
        return Vec::new();
    };
    let name = |field: FieldDescriptor| {
        let hyphens = field.name().replace('_', "-");
        PossibleValue::new(field.name().to_owned())
            .alias(hyphens)
            .help(descriptors::comment(&field))
    };
    detectors.fields().map(name).collect()
}

/// Every detector with its parameters, one line each.
pub(super) fn detector_params() -> String {
    let Ok(detectors) = detectors() else {
        return String::new();
    };
    let line = |field: FieldDescriptor| match field.kind() {
        Kind::Message(message) if message.fields().len() > 0 => {
            format!("{}: {}", field.name(), keys(&message).join(", "))
        }
        _ => format!("{}: none", field.name()),
    };
    let lines: Vec<String> = detectors.fields().map(line).collect();
    lines.join("\n")
}

/// The detector to train; `None` if neither a name nor a parameter is given, which leaves the choice to
/// the server. Parameters need a name.
pub(super) fn detector(name: Option<&str>, params: &[Param]) -> Result<Option<Detector>> {
    let Some(name) = name else {
        return match params.first() {
            None => Ok(None),
            Some(Param { key, .. }) => Err(Error::usage(format!(
                "the parameter {key} needs its detector; name it with --detector"
            ))),
        };
    };
    let field = detectors()?
        .fields()
        .find(|field| field.name() == name.replace('-', "_"))
        .ok_or_else(|| Error::usage(format!("there is no detector {name:?}")))?;
    let Kind::Message(description) = field.kind() else {
        return Err(undescribed());
    };
    let mut message = DynamicMessage::new(description);
    for Param { key, value } in params {
        set(&mut message, name, key, value)?;
    }
    let mut spec = DynamicMessage::new(field.parent_message().clone());
    spec.set_field(&field, Value::Message(message));
    let spec: TrainingSpec = spec.transcode_to().map_err(|_| undescribed())?;
    Ok(spec.detector)
}

fn detectors() -> Result<OneofDescriptor> {
    let spec = descriptors::message("TrainingSpec").ok_or_else(undescribed)?;
    let mut oneofs = spec.oneofs();
    oneofs
        .find(|oneof| oneof.name() == "detector")
        .ok_or_else(undescribed)
}

fn undescribed() -> Error {
    Error::failed("the program does not describe its detectors")
}

fn keys(message: &MessageDescriptor) -> Vec<String> {
    message
        .fields()
        .map(|field| descriptors::key(&field))
        .collect()
}

/// Sets `key`, where dots lead into nested messages.
fn set(message: &mut DynamicMessage, path: &str, key: &str, value: &str) -> Result<()> {
    let (first, rest) = key.split_once('.').unwrap_or((key, ""));
    let description = message.descriptor();
    let field = description
        .fields()
        // scikit-learn's `C` is the JSON name of the field `c`
        .find(|field| descriptors::key(field) == first || field.json_name() == first)
        .ok_or_else(|| unknown(path, first, &keys(&description)))?;
    let is_message = matches!(field.kind(), Kind::Message(_));
    if !rest.is_empty() && (field.is_list() || !is_message) {
        return Err(unknown(path, key, &keys(&description)));
    }
    if field.is_list() {
        let baseline = baseline(&field, value)?;
        if let Some(list) = message.get_field_mut(&field).as_list_mut() {
            list.push(baseline);
        }
        return Ok(());
    }
    if is_message {
        let inner = message.get_field_mut(&field);
        let inner = inner.as_message_mut().ok_or_else(undescribed)?;
        // a word alone, as in class_weight=balanced, is a flag of the message
        return match rest {
            "" => set_flag(inner, first, value),
            rest => set(inner, first, rest, value),
        };
    }
    let rival = field.containing_oneof().and_then(|oneof| {
        let mut others = oneof.fields().filter(|other| other != &field);
        others.find(|other| message.has_field(other))
    });
    if let Some(rival) = rival {
        let message = format!(
            "{first} and {} exclude each other; give one of them",
            rival.name()
        );
        return Err(Error::usage(message));
    }
    if message.has_field(&field) {
        return Err(Error::usage(format!(
            "the parameter {first} is given twice"
        )));
    }
    // the documented default of max_samples is scikit-learn's "auto"
    if value == "auto" && first == "max_samples" && path == "isolation_forest" {
        return Ok(());
    }
    let value = scalar(&field, first, value).map_err(|error| match error {
        Error::Usage(message) => Error::usage(message + &alternative(&description, &field)),
        other => other,
    })?;
    message.set_field(&field, value);
    Ok(())
}

/// What may be given in place of a number: a rule or a flag that shares a word of its name.
fn alternative(message: &MessageDescriptor, field: &FieldDescriptor) -> String {
    let named_after = |other: &FieldDescriptor| {
        let mut words = other.name().split('_');
        other != field && words.any(|word| field.name().split('_').any(|own| own == word))
    };
    let fields = message.fields().filter(named_after);
    let mut hints = fields.filter_map(|other| match other.kind() {
        Kind::Enum(rules) => {
            let words = descriptors::words(&rules).into_iter();
            let choices = words.map(|(word, _)| format!("{}={word}", other.name()));
            Some(choices.collect::<Vec<_>>().join(" or "))
        }
        Kind::Bool => Some(format!("{}=true", other.name())),
        _ => None,
    });
    hints.next().map_or(String::new(), |hint| {
        format!("; or give {hint} in its place")
    })
}

/// Sets the flag with the name `word`.
fn set_flag(message: &mut DynamicMessage, path: &str, word: &str) -> Result<()> {
    let description = message.descriptor();
    let is_flag = |field: &FieldDescriptor| field.kind() == Kind::Bool;
    let flag = description
        .fields()
        .find(|field| is_flag(field) && field.name() == word);
    if let Some(flag) = flag {
        message.set_field(&flag, Value::Bool(true));
        return Ok(());
    }
    let known = description.fields().map(|field| match is_flag(&field) {
        true => format!("{path}={}", field.name()),
        false => format!("{path}.{}=NUMBER", field.name()),
    });
    let known = known.collect::<Vec<_>>().join(" or ");
    Err(Error::usage(format!(
        "{path}={word} is not known; give {known}"
    )))
}

fn scalar(field: &FieldDescriptor, key: &str, text: &str) -> Result<Value> {
    Ok(match field.kind() {
        Kind::Uint32 => Value::U32(whole(key, text)?),
        Kind::Uint64 => Value::U64(whole(key, text)?),
        Kind::Double => Value::F64(number(key, text)?),
        Kind::Bool => Value::Bool(
            text.parse()
                .map_err(|_| Error::usage(format!("{key} must be true or false, got {text:?}")))?,
        ),
        Kind::Enum(description) => {
            let words = descriptors::words(&description);
            let found = words.iter().find(|(word, _)| word == &text.to_lowercase());
            let (_, number) = found.ok_or_else(|| {
                let known: Vec<&str> = words.iter().map(|(word, _)| word.as_str()).collect();
                Error::usage(format!(
                    "{key} must be one of {}, got {text:?}",
                    known.join(", ")
                ))
            })?;
            Value::EnumNumber(*number)
        }
        _ => return Err(undescribed()),
    })
}

/// `FEATURE:MEAN:STD`, split from the right, because names may hold colons.
fn baseline(field: &FieldDescriptor, text: &str) -> Result<Value> {
    let Kind::Message(description) = field.kind() else {
        return Err(undescribed());
    };
    let mut parts = text.rsplitn(3, ':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(std), Some(mean), Some(feature)) if !feature.is_empty() => {
            let mut baseline = DynamicMessage::new(description);
            baseline.set_field_by_name("feature", Value::String(feature.to_owned()));
            baseline.set_field_by_name("mean", Value::F64(number("baseline", mean)?));
            baseline.set_field_by_name("std", Value::F64(number("baseline", std)?));
            Ok(Value::Message(baseline))
        }
        _ => Err(Error::usage(format!(
            "baseline must be FEATURE:MEAN:STD, for example baseline=temperature:21.5:0.8, got {text:?}"
        ))),
    }
}

fn whole<T: FromStr>(key: &str, value: &str) -> Result<T> {
    value.parse().map_err(|_| {
        Error::usage(format!(
            "{key} must be a whole number, not negative and not too large, got {value:?}"
        ))
    })
}

fn number(key: &str, value: &str) -> Result<f64> {
    match value.trim().parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(Error::usage(format!(
            "{key} must be a finite number, got {value:?}"
        ))),
    }
}

fn unknown(path: &str, key: &str, known: &[String]) -> Error {
    if known.is_empty() {
        return Error::usage(format!("{path} has no parameters, got {key:?}"));
    }
    Error::usage(format!(
        "{path} has no parameter {key:?}{}; it has: {}",
        did_you_mean(key, known.iter().map(String::as_str)),
        known.join(", ")
    ))
}

#[cfg(test)]
mod tests;
