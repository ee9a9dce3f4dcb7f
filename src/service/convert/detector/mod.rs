//! Converts detectors: each message to the parameters of the same name, and back.

mod class_weight;
mod forests;
pub(in crate::service) mod like;
mod logistic_regression;
mod neighbors;
mod one_class_svm;
mod share;
mod statistics;

use crate::error::{Error, Result};
use crate::proto::v1;
use crate::proto::v1::training_spec::Detector;
use anomaly_detection::detector::DetectorParams;
use anomaly_detection::features::Scaling;

/// The detector in a request; the default one if there is none.
pub(in crate::service) fn params(detector: Option<Detector>) -> Result<DetectorParams> {
    let Some(detector) = detector else {
        return Ok(DetectorParams::default());
    };
    Ok(match detector {
        Detector::Auto(auto) => DetectorParams::Auto(auto.into()),
        Detector::Ecod(ecod) => DetectorParams::Ecod(ecod.into()),
        Detector::Gaussian(gaussian) => DetectorParams::Gaussian(gaussian.into()),
        Detector::Hbos(hbos) => DetectorParams::Hbos(named("hbos", hbos)?),
        Detector::IsolationForest(forest) => {
            DetectorParams::IsolationForest(named("isolation_forest", forest)?)
        }
        Detector::Knn(knn) => DetectorParams::Knn(named("knn", knn)?),
        Detector::Lesinn(lesinn) => DetectorParams::Lesinn(named("lesinn", lesinn)?),
        Detector::LocalOutlierFactor(lof) => DetectorParams::LocalOutlierFactor(lof.into()),
        Detector::LogisticRegression(logistic) => {
            DetectorParams::LogisticRegression(named("logistic_regression", logistic)?)
        }
        Detector::OneClassSvm(svm) => DetectorParams::OneClassSvm(named("one_class_svm", svm)?),
        Detector::Pca(pca) => DetectorParams::Pca(pca.into()),
        Detector::RandomForest(forest) => {
            DetectorParams::RandomForest(named("random_forest", forest)?)
        }
        Detector::ZScore(z_score) => DetectorParams::ZScore(named("z_score", z_score)?),
    })
}

/// Converts the parameters of a detector. The fields of errors are below its name.
fn named<M, P: TryFrom<M, Error = Error>>(name: &str, message: M) -> Result<P> {
    P::try_from(message).map_err(|error| error.within(name))
}

/// The parameters of a model, for a response.
pub(super) fn answer(params: DetectorParams) -> Detector {
    match params {
        DetectorParams::Auto(params) => Detector::Auto(params.into()),
        DetectorParams::Ecod(params) => Detector::Ecod(params.into()),
        DetectorParams::Gaussian(params) => Detector::Gaussian(params.into()),
        DetectorParams::Hbos(params) => Detector::Hbos(params.into()),
        DetectorParams::IsolationForest(params) => Detector::IsolationForest(params.into()),
        DetectorParams::Knn(params) => Detector::Knn(params.into()),
        DetectorParams::Lesinn(params) => Detector::Lesinn(params.into()),
        DetectorParams::LocalOutlierFactor(params) => Detector::LocalOutlierFactor(params.into()),
        DetectorParams::LogisticRegression(params) => Detector::LogisticRegression(params.into()),
        DetectorParams::OneClassSvm(params) => Detector::OneClassSvm(params.into()),
        DetectorParams::Pca(params) => Detector::Pca(params.into()),
        DetectorParams::RandomForest(params) => Detector::RandomForest(params.into()),
        DetectorParams::ZScore(params) => Detector::ZScore(params.into()),
    }
}

/// The scaler in a request; `None` for the detector's default.
pub(in crate::service) fn scaling(scaler: i32) -> Result<Option<Scaling>> {
    match v1::Scaler::try_from(scaler) {
        Ok(v1::Scaler::Unspecified) => Ok(None),
        Ok(v1::Scaler::None) => Ok(Some(Scaling::None)),
        Ok(v1::Scaler::Standard) => Ok(Some(Scaling::Standard)),
        Ok(v1::Scaler::Robust) => Ok(Some(Scaling::Robust)),
        Err(_) => {
            let known = "SCALER_NONE, SCALER_STANDARD or SCALER_ROBUST";
            Err(super::unknown("scaler", scaler, known))
        }
    }
}

impl From<Scaling> for v1::Scaler {
    fn from(scaling: Scaling) -> Self {
        match scaling {
            Scaling::None => Self::None,
            Scaling::Standard => Self::Standard,
            Scaling::Robust => Self::Robust,
        }
    }
}

/// A count for a response. Counts are bounded far below `u32::MAX`.
fn sent(count: usize) -> Option<u32> {
    Some(u32::try_from(count).unwrap_or(u32::MAX))
}

/// The error for a parameter whose number is no value of its enum.
fn unknown(field: &str, number: i32, known: &str) -> Error {
    let message = format!("{number} is not a known value of {field}; give {known}");
    Error::new(crate::error::reason::INVALID_PARAMETER, message).at(field)
}
