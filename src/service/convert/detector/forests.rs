//! Converts the parameters of the isolation forest and the random forest.

use super::class_weight;
use super::sent;
use super::share::Share;
use crate::error::{Error, Result};
use crate::proto::v1::{IsolationForest, RandomForest};
use anomaly_detection::detector::{
    IsolationForestParams, RandomForestParams, isolation_forest, random_forest,
};

impl TryFrom<IsolationForest> for IsolationForestParams {
    type Error = Error;

    fn try_from(forest: IsolationForest) -> Result<Self> {
        use isolation_forest::{MaxFeatures, MaxSamples};
        let mut params = Self::default();
        if let Some(n) = forest.n_estimators {
            params = params.with_n_estimators(n as usize);
        }
        if let Some(value) = forest.max_samples {
            params = params.with_max_samples(match Share::receive("max_samples", value)? {
                Share::Count(count) => MaxSamples::Count(count),
                Share::Fraction(fraction) => MaxSamples::Fraction(fraction),
            });
        }
        if let Some(value) = forest.max_features {
            params = params.with_max_features(match Share::receive("max_features", value)? {
                Share::Count(count) => MaxFeatures::Count(count),
                Share::Fraction(fraction) => MaxFeatures::Fraction(fraction),
            });
        }
        if let Some(seed) = forest.random_state {
            params = params.with_random_state(seed);
        }
        if let Some(ndim) = forest.ndim {
            params = params.with_ndim(ndim as usize);
        }
        Ok(params)
    }
}

impl From<IsolationForestParams> for IsolationForest {
    fn from(params: IsolationForestParams) -> Self {
        use isolation_forest::{MaxFeatures, MaxSamples};
        Self {
            n_estimators: sent(params.n_estimators()),
            max_samples: match params.max_samples() {
                MaxSamples::Auto => None,
                MaxSamples::Count(count) => Some(count as f64),
                MaxSamples::Fraction(fraction) => Some(fraction),
            },
            max_features: Some(match params.max_features() {
                MaxFeatures::Count(count) => count as f64,
                MaxFeatures::Fraction(fraction) => fraction,
            }),
            random_state: Some(params.random_state()),
            ndim: sent(params.ndim()),
        }
    }
}

impl TryFrom<RandomForest> for RandomForestParams {
    type Error = Error;

    fn try_from(forest: RandomForest) -> Result<Self> {
        use random_forest::MaxFeatures;
        let mut params = Self::default();
        if let Some(n) = forest.n_estimators {
            params = params.with_n_estimators(n as usize);
        }
        params = params.with_max_depth(forest.max_depth.map(|depth| depth as usize));
        if let Some(n) = forest.min_samples_leaf {
            params = params.with_min_samples_leaf(n as usize);
        }
        if let Some(value) = forest.max_features {
            params = params.with_max_features(match Share::receive("max_features", value)? {
                Share::Count(count) => MaxFeatures::Count(count),
                Share::Fraction(fraction) => MaxFeatures::Fraction(fraction),
            });
        }
        if let Some(weight) = forest.class_weight {
            params = params.with_class_weight(class_weight::receive(weight)?);
        }
        if let Some(seed) = forest.random_state {
            params = params.with_random_state(seed);
        }
        Ok(params)
    }
}

impl From<RandomForestParams> for RandomForest {
    fn from(params: RandomForestParams) -> Self {
        use random_forest::MaxFeatures;
        Self {
            n_estimators: sent(params.n_estimators()),
            max_depth: params.max_depth().and_then(sent),
            min_samples_leaf: sent(params.min_samples_leaf()),
            max_features: match params.max_features() {
                MaxFeatures::Sqrt => None,
                MaxFeatures::Count(count) => Some(count as f64),
                MaxFeatures::Fraction(fraction) => Some(fraction),
            },
            class_weight: class_weight::answer(params.class_weight()),
            random_state: Some(params.random_state()),
        }
    }
}
