//! Detectors and their parameters.

use crate::detector::isolation_forest::{MaxFeatures, MaxSamples};
use crate::detector::{
    Baseline, DetectorParams, GaussianParams, IsolationForestParams, ZScoreParams,
};
use crate::error::{Error, Reason, Result};
use crate::features::Scaling;
use crate::proto::v1::{self, train_request};
use crate::table::shortened;

/// The detector that a request asks for; isolation_forest when it names none.
pub(in crate::service) fn params(
    detector: Option<train_request::Detector>,
) -> Result<DetectorParams> {
    match detector {
        None => Ok(DetectorParams::default()),
        Some(train_request::Detector::IsolationForest(forest)) => isolation_forest(&forest)
            .map(DetectorParams::IsolationForest)
            .map_err(|e| e.within("isolation_forest")),
        Some(train_request::Detector::Gaussian(gaussian)) => {
            let mut params = GaussianParams::default();
            if let Some(ridge) = gaussian.ridge {
                params.ridge = ridge;
            }
            Ok(DetectorParams::Gaussian(params))
        }
        Some(train_request::Detector::ZScore(z_score)) => self::z_score(z_score)
            .map(DetectorParams::ZScore)
            .map_err(|e| e.within("z_score")),
    }
}

fn isolation_forest(forest: &v1::IsolationForest) -> Result<IsolationForestParams> {
    let mut params = IsolationForestParams::default();
    if let Some(n) = forest.n_estimators {
        params.n_estimators = n as usize;
    }
    if let Some(value) = forest.max_samples {
        params.max_samples = match share("max_samples", value)? {
            Share::Count(count) => MaxSamples::Count(count),
            Share::Fraction(fraction) => MaxSamples::Fraction(fraction),
        };
    }
    if let Some(value) = forest.max_features {
        params.max_features = match share("max_features", value)? {
            Share::Count(count) => MaxFeatures::Count(count),
            Share::Fraction(fraction) => MaxFeatures::Fraction(fraction),
        };
    }
    if let Some(seed) = forest.random_state {
        params.random_state = seed;
    }
    if let Some(ndim) = forest.ndim {
        params.ndim = ndim as usize;
    }
    Ok(params)
}

/// How many of something: as scikit-learn has it, but for 1, which is all of it here.
enum Share {
    Count(usize),
    Fraction(f64),
}

fn share(field: &str, value: f64) -> Result<Share> {
    if value > 0.0 && value <= 1.0 {
        Ok(Share::Fraction(value))
    } else if value >= 2.0 && value.fract() == 0.0 && value <= f64::from(u32::MAX) {
        Ok(Share::Count(value as usize))
    } else {
        Err(Error::new(
            Reason::InvalidParameter,
            format!(
                "{field} is {value:?}; it must be a fraction in (0, 1] or a whole number from 2"
            ),
        )
        .at(field))
    }
}

fn z_score(z_score: v1::ZScore) -> Result<ZScoreParams> {
    let baselines = z_score
        .baselines
        .into_iter()
        .enumerate()
        .map(|(index, baseline)| {
            let needed = |value: Option<f64>, field: &str| {
                value.ok_or_else(|| {
                    Error::new(
                        Reason::InvalidParameter,
                        format!(
                            "the baseline of {} has no {field}",
                            shortened(&baseline.feature)
                        ),
                    )
                    .at(format!("baselines[{index}].{field}"))
                })
            };
            Ok(Baseline {
                mean: needed(baseline.mean, "mean")?,
                std: needed(baseline.std, "std")?,
                feature: baseline.feature,
            })
        });
    Ok(ZScoreParams {
        multiplier: z_score.multiplier,
        baselines: baselines.collect::<Result<_>>()?,
    })
}

/// The scaler that a request asks for; `None` for the detector's own.
pub(in crate::service) fn scaling(scaler: i32) -> Result<Option<Scaling>> {
    match v1::Scaler::try_from(scaler) {
        Ok(v1::Scaler::Unspecified) => Ok(None),
        Ok(v1::Scaler::None) => Ok(Some(Scaling::None)),
        Ok(v1::Scaler::Standard) => Ok(Some(Scaling::Standard)),
        Ok(v1::Scaler::Robust) => Ok(Some(Scaling::Robust)),
        Err(_) => Err(Error::field(
            "scaler",
            format!(
                "{scaler} is no known scaler; give SCALER_NONE, SCALER_STANDARD or SCALER_ROBUST"
            ),
        )),
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

/// The parameters of a stored model, `n_rows` of which it was trained on and `n_features` of them.
pub(super) fn answer(params: DetectorParams, threshold: f64) -> v1::model::Detector {
    match params {
        DetectorParams::IsolationForest(forest) => {
            v1::model::Detector::IsolationForest(v1::IsolationForest {
                n_estimators: Some(u32::try_from(forest.n_estimators).unwrap_or(u32::MAX)),
                max_samples: match forest.max_samples {
                    MaxSamples::Auto => None,
                    MaxSamples::Count(count) => Some(count as f64),
                    MaxSamples::Fraction(fraction) => Some(fraction),
                },
                max_features: Some(match forest.max_features {
                    MaxFeatures::Count(count) => count as f64,
                    MaxFeatures::Fraction(fraction) => fraction,
                }),
                random_state: Some(forest.random_state),
                ndim: Some(u32::try_from(forest.ndim).unwrap_or(u32::MAX)),
            })
        }
        DetectorParams::Gaussian(gaussian) => v1::model::Detector::Gaussian(v1::Gaussian {
            ridge: Some(gaussian.ridge),
        }),
        DetectorParams::ZScore(z_score) => v1::model::Detector::ZScore(v1::ZScore {
            multiplier: Some(z_score.multiplier.unwrap_or(threshold)),
            baselines: z_score
                .baselines
                .into_iter()
                .map(|baseline| v1::Baseline {
                    feature: baseline.feature,
                    mean: Some(baseline.mean),
                    std: Some(baseline.std),
                })
                .collect(),
        }),
    }
}
