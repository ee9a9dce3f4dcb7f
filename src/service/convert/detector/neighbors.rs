//! Converts the parameters of the detectors that use neighbours: local outlier factor, knn, lesinn,
//! and auto, which builds on lesinn.

use super::{sent, unknown};
use crate::error::{Error, Result};
use crate::proto::v1::{self, Auto, Knn, Lesinn, LocalOutlierFactor};
use anomaly_detection::detector::{
    AutoParams, KnnMethod, KnnParams, LesinnMetric, LesinnParams, LocalOutlierFactorParams,
};

impl From<LocalOutlierFactor> for LocalOutlierFactorParams {
    fn from(lof: LocalOutlierFactor) -> Self {
        match lof.n_neighbors {
            Some(n) => Self::new().with_n_neighbors(n as usize),
            None => Self::default(),
        }
    }
}

impl From<LocalOutlierFactorParams> for LocalOutlierFactor {
    fn from(params: LocalOutlierFactorParams) -> Self {
        Self {
            n_neighbors: sent(params.n_neighbors()),
        }
    }
}

impl TryFrom<Knn> for KnnParams {
    type Error = Error;

    fn try_from(knn: Knn) -> Result<Self> {
        let mut params = Self::default();
        if let Some(n) = knn.n_neighbors {
            params = params.with_n_neighbors(n as usize);
        }
        let method = match v1::KnnMethod::try_from(knn.method) {
            Ok(v1::KnnMethod::Unspecified) => params.method(),
            Ok(v1::KnnMethod::Largest) => KnnMethod::Largest,
            Ok(v1::KnnMethod::Mean) => KnnMethod::Mean,
            Ok(v1::KnnMethod::Median) => KnnMethod::Median,
            Err(_) => {
                let known = "KNN_METHOD_LARGEST, KNN_METHOD_MEAN or KNN_METHOD_MEDIAN";
                return Err(unknown("method", knn.method, known));
            }
        };
        params = params.with_method(method);
        Ok(params)
    }
}

impl From<KnnParams> for Knn {
    fn from(params: KnnParams) -> Self {
        let method = match params.method() {
            KnnMethod::Largest => v1::KnnMethod::Largest,
            KnnMethod::Mean => v1::KnnMethod::Mean,
            KnnMethod::Median => v1::KnnMethod::Median,
        };
        Self {
            n_neighbors: sent(params.n_neighbors()),
            method: method.into(),
        }
    }
}

impl TryFrom<Lesinn> for LesinnParams {
    type Error = Error;

    fn try_from(lesinn: Lesinn) -> Result<Self> {
        let mut params = Self::default();
        if let Some(n) = lesinn.n_estimators {
            params = params.with_n_estimators(n as usize);
        }
        if let Some(n) = lesinn.max_samples {
            params = params.with_max_samples(n as usize);
        }
        if let Some(n) = lesinn.n_neighbors {
            params = params.with_n_neighbors(n as usize);
        }
        let metric = match v1::LesinnMetric::try_from(lesinn.metric) {
            Ok(v1::LesinnMetric::Unspecified) => params.metric(),
            Ok(v1::LesinnMetric::Manhattan) => LesinnMetric::Manhattan,
            Ok(v1::LesinnMetric::Euclidean) => LesinnMetric::Euclidean,
            Err(_) => {
                let known = "LESINN_METRIC_MANHATTAN or LESINN_METRIC_EUCLIDEAN";
                return Err(unknown("metric", lesinn.metric, known));
            }
        };
        params = params.with_metric(metric);
        if let Some(seed) = lesinn.random_state {
            params = params.with_random_state(seed);
        }
        Ok(params)
    }
}

impl From<LesinnParams> for Lesinn {
    fn from(params: LesinnParams) -> Self {
        let metric = match params.metric() {
            LesinnMetric::Manhattan => v1::LesinnMetric::Manhattan,
            LesinnMetric::Euclidean => v1::LesinnMetric::Euclidean,
        };
        Self {
            n_estimators: sent(params.n_estimators()),
            max_samples: sent(params.max_samples()),
            n_neighbors: sent(params.n_neighbors()),
            metric: metric.into(),
            random_state: Some(params.random_state()),
        }
    }
}

impl From<Auto> for AutoParams {
    fn from(auto: Auto) -> Self {
        match auto.random_state {
            Some(seed) => Self::new().with_random_state(seed),
            None => Self::default(),
        }
    }
}

impl From<AutoParams> for Auto {
    fn from(params: AutoParams) -> Self {
        Self {
            random_state: Some(params.random_state()),
        }
    }
}
