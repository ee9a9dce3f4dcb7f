//! The request of Train.

use super::records::{self, Input};
use super::{detector, features};
use crate::error::Result;
use crate::proto::v1::TrainRequest;
use anomaly_detection::detector::DetectorParams;
use anomaly_detection::pipeline::{Model, TrainSpec};

/// Checks a request but for its ids: what is to be trained, and on what. What it leaves out is as in `like`, where it names a
/// version to train alike, and else the default. `reservoir_size` is how many raw rows the server keeps for updates.
pub(in crate::service) fn receive(
    mut request: TrainRequest,
    like: Option<&Model>,
    reservoir_size: usize,
) -> Result<(TrainSpec, Option<Input>)> {
    let known_texts = like.map(Model::text_columns).unwrap_or_default();
    let input = records::optional(request.records.take(), &known_texts)?;
    let spec = spec(request, like.map(Model::spec), reservoir_size)?;
    Ok((spec, input))
}

fn spec(
    mut request: TrainRequest,
    like: Option<&TrainSpec>,
    reservoir_size: usize,
) -> Result<TrainSpec> {
    let mut spec = like.cloned().unwrap_or_default();
    spec.reservoir_size = reservoir_size;
    let mut gives_multiplier = false;
    if request.detector.is_some() {
        let detector = detector::params(request.detector.take())?;
        if detector.name() != spec.detector.name() {
            // in units or by rules of the other detector
            spec.threshold = None;
            spec.scaling = None;
            spec.validation_fraction = None;
        }
        gives_multiplier = matches!(&detector, DetectorParams::ZScore(params)
            if params.multiplier.is_some() || !params.baselines.is_empty());
        spec.detector = detector;
    }
    // the threshold comes from one of several fields, and what is given here counts
    let gives_threshold = request.contamination.is_some() || request.threshold.is_some();
    if gives_threshold || gives_multiplier {
        spec.contamination = request.contamination;
        spec.threshold = request.threshold;
    }
    if let DetectorParams::ZScore(params) = &mut spec.detector
        && gives_threshold
        && !gives_multiplier
    {
        params.multiplier = None;
    }
    if let Some(scaling) = detector::scaling(request.scaler)? {
        spec.scaling = Some(scaling);
    }
    features::set_roles(&mut spec.roles, &mut request);
    if let Some(engineering) = request.feature_engineering.take() {
        spec.engineering = Some(features::engineering(engineering));
    }
    if let Some(policy) = features::policy(request.feature_policy)? {
        spec.policy = policy;
    }
    if let Some(imputation) = features::imputation(request.imputation)? {
        spec.imputation = imputation;
    }
    if let Some(n) = request.max_one_hot_categories {
        spec.max_one_hot = n as usize;
    }
    if let Some(n) = request.sample_rows {
        spec.sample_rows = (n > 0).then_some(usize::try_from(n).unwrap_or(usize::MAX));
    }
    if request.validation_fraction.is_some() {
        spec.validation_fraction = request.validation_fraction;
    }
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::ZScore;
    use crate::proto::v1::train_request::Detector;

    fn alike(like: &TrainSpec, request: TrainRequest) -> TrainSpec {
        spec(request, Some(like), 10).expect("valid")
    }

    #[test]
    fn of_the_ways_to_a_threshold_the_one_that_is_given_counts() {
        let z_score = |multiplier| {
            Some(Detector::ZScore(ZScore {
                multiplier,
                ..ZScore::default()
            }))
        };
        let default = TrainSpec::default();
        let multiplied = alike(
            &default,
            TrainRequest {
                detector: z_score(Some(4.0)),
                ..TrainRequest::default()
            },
        );
        let by_share = alike(
            &multiplied,
            TrainRequest {
                contamination: Some(0.05),
                ..TrainRequest::default()
            },
        );
        let multiplier = |spec: &TrainSpec| match &spec.detector {
            DetectorParams::ZScore(params) => params.multiplier,
            other => panic!("{other:?}"),
        };
        assert_eq!(multiplier(&multiplied), Some(4.0));
        assert_eq!(
            (multiplier(&by_share), by_share.contamination),
            (None, Some(0.05))
        );
        let again = alike(
            &by_share,
            TrainRequest {
                detector: z_score(Some(2.0)),
                ..TrainRequest::default()
            },
        );
        assert_eq!((multiplier(&again), again.contamination), (Some(2.0), None));
        let kept = alike(
            &by_share,
            TrainRequest {
                detector: z_score(None),
                ..TrainRequest::default()
            },
        );
        assert_eq!((multiplier(&kept), kept.contamination), (None, Some(0.05)));
    }
}
