//! `--detector` and `--param`: from text to the typed messages of the API.

use std::str::FromStr;

use super::error::{Error, Result};
use super::suggest::did_you_mean;
use crate::proto::v1::train_request::Detector;
use crate::proto::v1::{Baseline, Gaussian, IsolationForest, ZScore};

/// The detectors that the API knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum DetectorName {
    /// Isolation forest: any table, few assumptions
    #[value(alias = "isolation-forest")]
    IsolationForest,
    /// Multivariate Gaussian: the Mahalanobis distance from the mean
    Gaussian,
    /// Z-score: the largest deviation of a single feature
    #[value(alias = "z-score")]
    ZScore,
}

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

/// The detector that the request carries: `None` where neither a name nor a parameter is given, which leaves the choice to
/// the server. Parameters without a name are those of an isolation forest.
pub(super) fn detector(name: Option<DetectorName>, params: &[Param]) -> Result<Option<Detector>> {
    if name.is_none() && params.is_empty() {
        return Ok(None);
    }
    Ok(Some(match name.unwrap_or(DetectorName::IsolationForest) {
        DetectorName::IsolationForest => Detector::IsolationForest(isolation_forest(params)?),
        DetectorName::Gaussian => Detector::Gaussian(gaussian(params)?),
        DetectorName::ZScore => Detector::ZScore(z_score(params)?),
    }))
}

fn isolation_forest(params: &[Param]) -> Result<IsolationForest> {
    const KEYS: &[&str] = &[
        "n_estimators",
        "max_samples",
        "max_features",
        "random_state",
        "ndim",
    ];
    let mut forest = IsolationForest::default();
    for Param { key, value } in params {
        match key.as_str() {
            "n_estimators" => set(&mut forest.n_estimators, key, whole(key, value)?)?,
            // the documented default is scikit-learn's "auto"
            "max_samples" if value == "auto" => once(forest.max_samples.is_none(), key)?,
            "max_samples" => set(&mut forest.max_samples, key, number(key, value)?)?,
            "max_features" => set(&mut forest.max_features, key, number(key, value)?)?,
            "random_state" => set(&mut forest.random_state, key, whole(key, value)?)?,
            "ndim" => set(&mut forest.ndim, key, whole(key, value)?)?,
            _ => return Err(unknown("isolation_forest", key, KEYS)),
        }
    }
    Ok(forest)
}

fn gaussian(params: &[Param]) -> Result<Gaussian> {
    let mut gaussian = Gaussian::default();
    for Param { key, value } in params {
        match key.as_str() {
            "ridge" => set(&mut gaussian.ridge, key, number(key, value)?)?,
            _ => return Err(unknown("gaussian", key, &["ridge"])),
        }
    }
    Ok(gaussian)
}

fn z_score(params: &[Param]) -> Result<ZScore> {
    let mut z_score = ZScore::default();
    for Param { key, value } in params {
        match key.as_str() {
            "multiplier" => set(&mut z_score.multiplier, key, number(key, value)?)?,
            "baseline" => z_score.baselines.push(baseline(value)?),
            _ => return Err(unknown("z_score", key, &["multiplier", "baseline"])),
        }
    }
    Ok(z_score)
}

/// `FEATURE:MEAN:STD`, split from the right, because names may hold colons.
fn baseline(text: &str) -> Result<Baseline> {
    let mut parts = text.rsplitn(3, ':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(std), Some(mean), Some(feature)) if !feature.is_empty() => Ok(Baseline {
            feature: feature.to_owned(),
            mean: Some(number("baseline", mean)?),
            std: Some(number("baseline", std)?),
        }),
        _ => Err(Error::usage(format!(
            "baseline must be FEATURE:MEAN:STD, for example baseline=temperature:21.5:0.8, got {text:?}"
        ))),
    }
}

fn set<T>(slot: &mut Option<T>, key: &str, value: T) -> Result<()> {
    once(slot.is_none(), key)?;
    *slot = Some(value);
    Ok(())
}

fn once(unset: bool, key: &str) -> Result<()> {
    if unset {
        return Ok(());
    }
    Err(Error::usage(format!("the parameter {key} is given twice")))
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

fn unknown(detector: &str, key: &str, known: &[&str]) -> Error {
    Error::usage(format!(
        "{detector} has no parameter {key:?}{}; it has: {}",
        did_you_mean(key, known.iter().copied()),
        known.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            detector(None, &given).expect("all are known"),
            Some(Detector::IsolationForest(forest))
        );
        assert_eq!(
            detector(Some(DetectorName::Gaussian), &params(&["ridge=1e-3"])).expect("known"),
            Some(Detector::Gaussian(Gaussian { ridge: Some(1e-3) }))
        );
    }

    #[test]
    fn auto_is_the_default_of_max_samples() {
        assert_eq!(
            detector(None, &params(&["max_samples=auto"])).expect("known"),
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
        let Some(Detector::ZScore(z_score)) =
            detector(Some(DetectorName::ZScore), &given).expect("known")
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
                DetectorName::IsolationForest,
                "n_estimator=1",
                "did you mean \"n_estimators\"?",
            ),
            (
                DetectorName::IsolationForest,
                "ridge=1",
                "it has: n_estimators",
            ),
            (
                DetectorName::IsolationForest,
                "n_estimators=-1",
                "whole number",
            ),
            (
                DetectorName::IsolationForest,
                "n_estimators=1.5",
                "whole number",
            ),
            (
                DetectorName::IsolationForest,
                "max_samples=some",
                "finite number",
            ),
            (DetectorName::Gaussian, "ridge=nan", "finite number"),
            (DetectorName::ZScore, "baseline=x:1", "FEATURE:MEAN:STD"),
            (DetectorName::ZScore, "baseline=:1:2", "FEATURE:MEAN:STD"),
            (DetectorName::ZScore, "baseline=x:one:2", "finite number"),
        ];
        for (name, text, expected) in cases {
            let error = detector(Some(name), &params(&[text])).expect_err(text);
            assert!(message(error).contains(expected), "{text}");
        }
        let twice = params(&["ndim=1", "ndim=2"]);
        assert!(message(detector(None, &twice).expect_err("twice")).contains("twice"));
        for text in ["n_estimators", "=1", " =1", ""] {
            assert!(text.parse::<Param>().is_err(), "{text}");
        }
    }
}
