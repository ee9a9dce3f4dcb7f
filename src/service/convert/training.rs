//! Converts training specs: of a request, and of a model.

use super::{detector, features};
use crate::error::Result;
use crate::proto::v1;
use crate::proto::v1::training_spec;
use anomaly_detection::calibration::Policy;
use anomaly_detection::detector::DetectorParams;
use anomaly_detection::features::{Role, Roles};
use anomaly_detection::pipeline::{Model, TrainingSpec};

/// The spec of a request. What it leaves out is taken from `like`, if given, or else the default.
pub(in crate::service) fn receive(
    given: v1::TrainingSpec,
    like: Option<&TrainingSpec>,
) -> Result<TrainingSpec> {
    let mut spec = like.cloned().unwrap_or_default();
    let policy = given.policy.map(|policy| match policy {
        training_spec::Policy::Contamination(share) => Policy::Contamination(share),
        training_spec::Policy::Threshold(value) => Policy::Threshold(value),
    });
    let mut detector_sets_threshold = false;
    if let Some(stated) = given.detector {
        let filled_in = detector::like::filled_in(&stated, spec.detector.clone())?;
        let stated = detector::params(Some(stated))?;
        if stated.name() != spec.detector.name() {
            // these only make sense for the other detector
            spec.policy = None;
            spec.scaling = None;
            spec.validation_fraction = None;
        }
        detector_sets_threshold = stated.stated_policy().is_some() || has_baselines(&stated);
        spec.detector = detector::params(Some(filled_in))?;
    }
    // the threshold comes from the policy or the detector: the one that this request gives wins
    if policy.is_some() || detector_sets_threshold {
        spec.policy = policy;
    }
    if let DetectorParams::ZScore(params) = &mut spec.detector
        && policy.is_some()
        && !detector_sets_threshold
    {
        *params = params.clone().with_multiplier(None);
    }
    if let Some(scaling) = detector::scaling(given.scaler)? {
        spec.scaling = Some(scaling);
    }
    let roles = Roles {
        target: named(given.target_column),
        features: given.feature_columns,
        label: named(given.label_column),
        time: named(given.time_column),
        series: named(given.series_column),
        ignored: given.ignore_columns,
    };
    features::set_roles(&mut spec.roles, roles);
    if let Some(engineering) = given.feature_engineering {
        spec.engineering = Some(features::engineering(engineering, spec.engineering.take()));
    }
    if let Some(policy) = features::policy(given.feature_policy)? {
        spec.feature_policy = policy;
    }
    if let Some(imputation) = features::imputation(given.imputation)? {
        spec.imputation = imputation;
    }
    if let Some(n) = given.max_one_hot_categories {
        spec.max_one_hot = n as usize;
    }
    if let Some(n) = given.sample_rows {
        spec.sample_rows = (n > 0).then_some(usize::try_from(n).unwrap_or(usize::MAX));
    }
    if given.validation_fraction.is_some() {
        spec.validation_fraction = given.validation_fraction;
    }
    Ok(spec)
}

/// Whether the statistics of the features are given.
fn has_baselines(detector: &DetectorParams) -> bool {
    matches!(detector, DetectorParams::ZScore(params) if !params.baselines().is_empty())
}

fn named(column: String) -> Option<String> {
    (!column.is_empty()).then_some(column)
}

/// How a model was trained, with every default filled in.
pub(super) fn answer(model: &Model) -> v1::TrainingSpec {
    let spec = model.spec();
    let schema = &model.features().schema;
    let column = |role: Role| {
        schema
            .column_of(role)
            .map(|column| column.name.clone())
            .unwrap_or_default()
    };
    let threshold = model.threshold();
    let (params, policy) = match (model.detector().params(), threshold.policy) {
        // without a contamination, the threshold of a z-score is its multiplier
        (DetectorParams::ZScore(params), Policy::Threshold(value)) => {
            let params = params.with_multiplier(Some(value));
            (DetectorParams::ZScore(params), None)
        }
        (params, policy) => (params, Some(policy)),
    };
    let policy = policy.map(|policy| match policy {
        Policy::Contamination(share) => training_spec::Policy::Contamination(share),
        Policy::Threshold(value) => training_spec::Policy::Threshold(value),
    });
    // with baselines, the features are given by them
    let is_given = has_baselines(&params);
    let engineering = spec.engineering.clone().map(|mut spec| {
        if let Some(engineering) = &model.features().engineering {
            spec.columns = engineering.engineer().columns().to_vec();
        }
        spec.into()
    });
    v1::TrainingSpec {
        detector: Some(detector::answer(params)),
        policy,
        scaler: v1::Scaler::from(model.scaling()).into(),
        label_column: column(Role::Label),
        target_column: spec.roles.target.clone().unwrap_or_default(),
        feature_columns: match is_given {
            true => Vec::new(),
            false => schema.features().to_vec(),
        },
        time_column: column(Role::Time),
        series_column: column(Role::Series),
        ignore_columns: spec.roles.ignored.clone(),
        feature_engineering: engineering,
        feature_policy: v1::FeaturePolicy::from(spec.feature_policy).into(),
        imputation: v1::Imputation::from(spec.imputation).into(),
        max_one_hot_categories: u32::try_from(spec.max_one_hot).ok(),
        validation_fraction: model.validation_fraction(),
        sample_rows: spec.sample_rows.map(|n| n as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::ZScore;
    use crate::proto::v1::training_spec::Detector;

    fn receive_like(like: &TrainingSpec, given: v1::TrainingSpec) -> TrainingSpec {
        receive(given, Some(like)).expect("valid")
    }

    #[test]
    fn the_threshold_in_the_request_wins_over_the_one_of_the_like_version() {
        let z_score = |multiplier| {
            Some(Detector::ZScore(ZScore {
                multiplier,
                ..ZScore::default()
            }))
        };
        let default = TrainingSpec::default();
        let by_multiplier = receive_like(
            &default,
            v1::TrainingSpec {
                detector: z_score(Some(4.0)),
                ..v1::TrainingSpec::default()
            },
        );
        let by_contamination = receive_like(
            &by_multiplier,
            v1::TrainingSpec {
                policy: Some(training_spec::Policy::Contamination(0.05)),
                ..v1::TrainingSpec::default()
            },
        );
        let multiplier = |spec: &TrainingSpec| match &spec.detector {
            DetectorParams::ZScore(params) => params.multiplier(),
            other => panic!("{other:?}"),
        };
        assert_eq!(multiplier(&by_multiplier), Some(4.0));
        assert_eq!(
            (multiplier(&by_contamination), by_contamination.policy),
            (None, Some(Policy::Contamination(0.05)))
        );
        let again = receive_like(
            &by_contamination,
            v1::TrainingSpec {
                detector: z_score(Some(2.0)),
                ..v1::TrainingSpec::default()
            },
        );
        assert_eq!((multiplier(&again), again.policy), (Some(2.0), None));
        let kept = receive_like(
            &by_contamination,
            v1::TrainingSpec {
                detector: z_score(None),
                ..v1::TrainingSpec::default()
            },
        );
        assert_eq!(
            (multiplier(&kept), kept.policy),
            (None, Some(Policy::Contamination(0.05)))
        );
        // the multiplier that is filled in is not one that the request gives
        let replaced = receive_like(
            &by_multiplier,
            v1::TrainingSpec {
                detector: z_score(None),
                policy: Some(training_spec::Policy::Contamination(0.05)),
                ..v1::TrainingSpec::default()
            },
        );
        assert_eq!(
            (multiplier(&replaced), replaced.policy),
            (None, Some(Policy::Contamination(0.05)))
        );
    }

    #[test]
    fn feature_engineering_is_filled_in_field_by_field() {
        let engineered = |like: &TrainingSpec, engineering: v1::FeatureEngineering| {
            let spec = v1::TrainingSpec {
                feature_engineering: Some(engineering),
                ..v1::TrainingSpec::default()
            };
            receive_like(like, spec)
        };
        let first = engineered(
            &TrainingSpec::default(),
            v1::FeatureEngineering {
                columns: vec!["value".to_owned()],
                lags: vec![5],
                hour: Some(false),
                ..v1::FeatureEngineering::default()
            },
        );
        let second = engineered(
            &first,
            v1::FeatureEngineering {
                rolling_windows: vec![0],
                ..v1::FeatureEngineering::default()
            },
        );
        let spec = second.engineering.expect("engineered");
        assert_eq!(spec.columns, ["value"]);
        assert_eq!(
            (spec.params.lags, spec.params.rolling_windows),
            (vec![5], Vec::new())
        );
        assert!(!spec.params.time_features.hour && spec.params.time_features.month);
    }
}
