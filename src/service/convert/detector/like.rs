//! Fills in what the detector of a request leaves out.

use prost::Message as _;

use crate::error::{Error, Result, reason};
use crate::proto::v1;
use crate::proto::v1::training_spec::Detector;
use anomaly_detection::detector::DetectorParams;

/// The detector of a request with the parameters of `like` that it leaves out, if that is the same detector; another one keeps
/// its defaults.
pub(in crate::service) fn filled_in(given: &Detector, like: DetectorParams) -> Result<Detector> {
    let mut like = super::answer(like);
    give_way(&mut like, given);
    let in_spec = |detector| v1::TrainingSpec {
        detector: Some(detector),
        ..v1::TrainingSpec::default()
    };
    // merging messages is protobuf's way to replace the fields that are given, and all of them if the detector is another
    let mut merged = in_spec(like);
    let given = in_spec(given.clone()).encode_to_vec();
    let merging = merged.merge(&given[..]);
    let cannot_merge = || Error::new(reason::INTERNAL, "the detectors cannot be merged");
    merging.map_err(|error| cannot_merge().because(error))?;
    merged.detector.ok_or_else(cannot_merge)
}

/// Removes the parameters that what is given replaces under another name, and lists, to which merging would append.
fn give_way(like: &mut Detector, given: &Detector) {
    match (like, given) {
        (Detector::Hbos(like), Detector::Hbos(given)) => {
            if given.auto_bins {
                like.n_bins = None;
            }
            like.auto_bins &= given.n_bins.is_none();
        }
        (Detector::ZScore(like), Detector::ZScore(given)) if !given.baselines.is_empty() => {
            like.baselines.clear();
        }
        (Detector::RandomForest(like), Detector::RandomForest(given)) => {
            weights_give_way(&mut like.class_weight, given.class_weight.as_ref());
        }
        (Detector::LogisticRegression(like), Detector::LogisticRegression(given)) => {
            weights_give_way(&mut like.class_weight, given.class_weight.as_ref());
        }
        _ => {}
    }
}

/// Balanced and given weights exclude each other.
fn weights_give_way(like: &mut Option<v1::ClassWeight>, given: Option<&v1::ClassWeight>) {
    let is_balanced = like.as_ref().is_some_and(|weights| weights.balanced);
    if given.is_some_and(|weights| weights.balanced || is_balanced) {
        *like = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::convert::detector::{answer, params};

    /// The detector that comes of `given` where a version like `like` exists, with all parameters.
    fn merged(like: Detector, given: Detector) -> Detector {
        let like = params(Some(like)).expect("valid");
        let merged = filled_in(&given, like).expect("merges");
        answer(params(Some(merged)).expect("valid"))
    }

    fn weights(normal: Option<f64>, anomaly: Option<f64>, balanced: bool) -> Detector {
        Detector::RandomForest(v1::RandomForest {
            class_weight: Some(v1::ClassWeight {
                balanced,
                normal,
                anomaly,
            }),
            max_depth: Some(4),
            ..v1::RandomForest::default()
        })
    }

    fn weights_of(detector: Detector) -> (bool, Option<f64>, Option<f64>, Option<u32>) {
        let Detector::RandomForest(forest) = detector else {
            panic!("{detector:?}");
        };
        let weights = forest.class_weight.expect("weights");
        (
            weights.balanced,
            weights.normal,
            weights.anomaly,
            forest.max_depth,
        )
    }

    #[test]
    fn parameters_that_are_left_out_come_from_the_same_detector() {
        let forest = |n_estimators, ndim| {
            Detector::IsolationForest(v1::IsolationForest {
                n_estimators,
                ndim,
                ..v1::IsolationForest::default()
            })
        };
        let Detector::IsolationForest(merged) =
            merged(forest(Some(20), None), forest(None, Some(2)))
        else {
            panic!("another detector");
        };
        assert_eq!((merged.n_estimators, merged.ndim), (Some(20), Some(2)));
    }

    #[test]
    fn another_detector_keeps_its_defaults() {
        let lof = Detector::LocalOutlierFactor(v1::LocalOutlierFactor {
            n_neighbors: Some(7),
        });
        let knn = Detector::Knn(v1::Knn::default());
        let default = answer(params(Some(knn.clone())).expect("valid"));
        assert_eq!(merged(lof, knn), default);
    }

    #[test]
    fn parameters_that_exclude_each_other_are_replaced() {
        let hbos = |n_bins, auto_bins| {
            Detector::Hbos(v1::Hbos {
                n_bins,
                auto_bins,
                alpha: Some(0.5),
                ..v1::Hbos::default()
            })
        };
        let bins = |detector| match detector {
            Detector::Hbos(hbos) => (hbos.n_bins, hbos.auto_bins),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            bins(merged(hbos(Some(20), false), hbos(None, true))),
            (None, true)
        );
        assert_eq!(
            bins(merged(hbos(None, true), hbos(Some(20), false))),
            (Some(20), false)
        );
        assert_eq!(
            bins(merged(hbos(None, true), hbos(None, false))),
            (None, true)
        );

        let balanced = || weights(None, None, true);
        let heavy = || weights(None, Some(9.0), false);
        assert_eq!(
            weights_of(merged(balanced(), heavy())),
            (false, Some(1.0), Some(9.0), Some(4))
        );
        assert_eq!(
            weights_of(merged(heavy(), balanced())),
            (true, None, None, Some(4))
        );
        let both = merged(heavy(), weights(Some(2.0), None, false));
        assert_eq!(weights_of(both), (false, Some(2.0), Some(9.0), Some(4)));
    }

    #[test]
    fn a_list_is_replaced_as_a_whole() {
        let z_score = |features: &[&str], multiplier| {
            let baseline = |feature: &&str| v1::Baseline {
                feature: (*feature).to_owned(),
                mean: Some(0.0),
                std: Some(1.0),
            };
            Detector::ZScore(v1::ZScore {
                multiplier,
                baselines: features.iter().map(baseline).collect(),
            })
        };
        let found = |detector| match detector {
            Detector::ZScore(z_score) => {
                let features = z_score
                    .baselines
                    .into_iter()
                    .map(|baseline| baseline.feature);
                (features.collect::<Vec<_>>(), z_score.multiplier)
            }
            other => panic!("{other:?}"),
        };
        let like = || z_score(&["a", "b"], Some(4.0));
        let replaced = found(merged(like(), z_score(&["c"], None)));
        assert_eq!(replaced, (vec!["c".to_owned()], Some(4.0)));
        let kept = found(merged(like(), z_score(&[], Some(2.0))));
        assert_eq!(kept, (vec!["a".to_owned(), "b".to_owned()], Some(2.0)));
    }
}
