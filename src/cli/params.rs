//! `--detector` and `--param`: from text to the typed messages of the API.
//!
//! What there is follows from the description of the API that the program carries: the detectors are the members of the
//! `detector` oneof of a request of Train, and their parameters the fields of these messages.

use std::str::FromStr;

use clap::builder::PossibleValue;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, OneofDescriptor, ReflectMessage,
    Value,
};

use super::descriptors;
use super::error::{Error, Result};
use super::suggest::did_you_mean;
use crate::proto::v1::TrainRequest;
use crate::proto::v1::train_request::Detector;

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

/// The names of the detectors, with what the API says of them.
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

/// Every detector with its parameters, a line each.
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

/// The detector that the request carries: `None` where neither a name nor a parameter is given, which leaves the choice to
/// the server. Parameters need a name.
pub(super) fn detector(name: Option<&str>, params: &[Param]) -> Result<Option<Detector>> {
    let Some(name) = name else {
        return match params.first() {
            None => Ok(None),
            Some(Param { key, .. }) => Err(Error::usage(format!(
                "name the detector whose parameter {key} is, with --detector"
            ))),
        };
    };
    let field = detectors()?
        .fields()
        .find(|field| field.name() == name)
        .ok_or_else(|| Error::usage(format!("there is no detector {name:?}")))?;
    let Kind::Message(description) = field.kind() else {
        return Err(undescribed());
    };
    let mut message = DynamicMessage::new(description);
    for Param { key, value } in params {
        set(&mut message, name, key, value)?;
    }
    let mut request = DynamicMessage::new(field.parent_message().clone());
    request.set_field(&field, Value::Message(message));
    let request: TrainRequest = request.transcode_to().map_err(|_| undescribed())?;
    Ok(request.detector)
}

fn detectors() -> Result<OneofDescriptor> {
    let request = descriptors::message("TrainRequest").ok_or_else(undescribed)?;
    let mut oneofs = request.oneofs();
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

/// Sets `key`, in which dots lead into messages.
fn set(message: &mut DynamicMessage, path: &str, key: &str, value: &str) -> Result<()> {
    let (first, rest) = key.split_once('.').unwrap_or((key, ""));
    let description = message.descriptor();
    let field = description
        .fields()
        // scikit-learn's `C` is the field `c`, whose JSON name it is
        .find(|field| descriptors::key(field) == first || field.json_name() == first)
        .ok_or_else(|| unknown(path, first, &keys(&description)))?;
    if field.is_list() {
        let baseline = baseline(&field, value)?;
        if let Some(list) = message.get_field_mut(&field).as_list_mut() {
            list.push(baseline);
        }
        return Ok(());
    }
    if let Kind::Message(_) = field.kind() {
        let inner = message.get_field_mut(&field);
        let inner = inner.as_message_mut().ok_or_else(undescribed)?;
        // a word alone, as in class_weight=balanced, is a flag of the message
        return match rest {
            "" => set(inner, first, value, "true"),
            rest => set(inner, first, rest, value),
        };
    }
    if message.has_field(&field) {
        return Err(Error::usage(format!(
            "the parameter {first} is given twice"
        )));
    }
    // the documented default of max_samples is scikit-learn's "auto"
    if value == "auto" && first == "max_samples" {
        return Ok(());
    }
    let value = scalar(&field, first, value)?;
    message.set_field(&field, value);
    Ok(())
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
mod tests {
    use super::*;
    use crate::proto::v1::one_class_svm::GammaChoice;
    use crate::proto::v1::{
        ClassWeight, Gaussian, IsolationForest, Kernel, LogisticRegression, OneClassSvm,
    };

    fn params(texts: &[&str]) -> Vec<Param> {
        texts
            .iter()
            .map(|text| text.parse().expect("KEY=VALUE"))
            .collect()
    }

    fn message(error: Error) -> String {
        match error {
            Error::Usage(message) => message,
            other => panic!("expected a usage error, got {other:?}"),
        }
    }

    #[test]
    fn nothing_given_leaves_the_choice_to_the_server() {
        assert_eq!(detector(None, &[]).expect("nothing is wrong"), None);
    }

    #[test]
    fn every_parameter_reaches_its_field() {
        let given = params(&[
            "n_estimators=200",
            "max_samples=0.5",
            "max_features = 3",
            "random_state=18446744073709551615",
            "ndim=2",
        ]);
        let forest = IsolationForest {
            n_estimators: Some(200),
            max_samples: Some(0.5),
            max_features: Some(3.0),
            random_state: Some(u64::MAX),
            ndim: Some(2),
        };
        assert_eq!(
            detector(Some("isolation_forest"), &given).expect("all are known"),
            Some(Detector::IsolationForest(forest))
        );
        assert_eq!(
            detector(Some("gaussian"), &params(&["ridge=1e-3"])).expect("known"),
            Some(Detector::Gaussian(Gaussian { ridge: Some(1e-3) }))
        );
    }

    #[test]
    fn auto_is_the_default_of_max_samples() {
        assert_eq!(
            detector(Some("isolation_forest"), &params(&["max_samples=auto"])).expect("known"),
            Some(Detector::IsolationForest(IsolationForest::default()))
        );
    }

    #[test]
    fn baselines_repeat_and_their_names_may_hold_colons() {
        let given = params(&[
            "multiplier=2.5",
            "baseline=a:b [l/s]:-1:0.5",
            "baseline=c=d:3:4",
        ]);
        let Some(Detector::ZScore(z_score)) = detector(Some("z_score"), &given).expect("known")
        else {
            panic!("asked for z_score");
        };
        assert_eq!(z_score.multiplier, Some(2.5));
        let read: Vec<_> = z_score
            .baselines
            .iter()
            .map(|b| (b.feature.as_str(), b.mean, b.std))
            .collect();
        assert_eq!(
            read,
            [
                ("a:b [l/s]", Some(-1.0), Some(0.5)),
                ("c=d", Some(3.0), Some(4.0))
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            (
                "isolation_forest",
                "n_estimator=1",
                "did you mean \"n_estimators\"?",
            ),
            ("isolation_forest", "ridge=1", "it has: n_estimators"),
            ("isolation_forest", "n_estimators=-1", "whole number"),
            ("isolation_forest", "n_estimators=1.5", "whole number"),
            ("isolation_forest", "max_samples=some", "finite number"),
            ("gaussian", "ridge=nan", "finite number"),
            ("z_score", "baseline=x:1", "FEATURE:MEAN:STD"),
            ("z_score", "baseline=:1:2", "FEATURE:MEAN:STD"),
            ("z_score", "baseline=x:one:2", "finite number"),
        ];
        for (name, text, expected) in cases {
            let error = detector(Some(name), &params(&[text])).expect_err(text);
            assert!(message(error).contains(expected), "{text}");
        }
        let twice = params(&["ndim=1", "ndim=2"]);
        assert!(
            message(detector(Some("isolation_forest"), &twice).expect_err("twice"))
                .contains("twice")
        );
        for text in ["n_estimators", "=1", " =1", ""] {
            assert!(text.parse::<Param>().is_err(), "{text}");
        }
    }

    #[test]
    fn words_stand_for_enum_values_and_flags_and_dots_lead_inside() {
        let given = params(&["kernel=poly", "gamma=0.25", "nu=0.1"]);
        let svm = OneClassSvm {
            nu: Some(0.1),
            kernel: Kernel::Poly.into(),
            gamma_choice: Some(GammaChoice::Gamma(0.25)),
            ..OneClassSvm::default()
        };
        assert_eq!(
            detector(Some("one_class_svm"), &given).expect("known"),
            Some(Detector::OneClassSvm(svm))
        );
        let weight = |texts: &[&str]| match detector(Some("logistic_regression"), &params(texts)) {
            Ok(Some(Detector::LogisticRegression(LogisticRegression {
                c, class_weight, ..
            }))) => (c, class_weight),
            other => panic!("expected a logistic regression, got {other:?}"),
        };
        let balanced = ClassWeight {
            balanced: true,
            ..ClassWeight::default()
        };
        assert_eq!(
            weight(&["C=2", "class_weight=balanced"]),
            (Some(2.0), Some(balanced))
        );
        let given = ClassWeight {
            anomaly: Some(10.0),
            ..ClassWeight::default()
        };
        assert_eq!(weight(&["class_weight.anomaly=10"]), (None, Some(given)));
        let error =
            detector(Some("one_class_svm"), &params(&["kernel=cubic"])).expect_err("unknown");
        assert!(message(error).contains("rbf, linear, poly, sigmoid"));
        assert!(
            message(detector(Some("ecod"), &params(&["x=1"])).expect_err("none"))
                .contains("no parameters")
        );
    }

    #[test]
    fn every_detector_has_a_name_and_a_line() {
        let names: Vec<String> = detector_names()
            .iter()
            .map(|name| name.get_name().to_owned())
            .collect();
        assert!(
            names.len() > 10 && names.contains(&"lesinn".to_owned()),
            "{names:?}"
        );
        assert!(detector_names().iter().all(|name| {
            name.get_help()
                .is_some_and(|help| !help.to_string().is_empty())
        }));
        assert!(detector_params().contains("gaussian: ridge\n"));
        assert!(detector(None, &params(&["ridge=1"])).is_err());
    }
}
