//! Converts the parameters of the detectors that are statistics of the features: gaussian, pca,
//! z_score, hbos, ecod.

use super::sent;
use crate::error::{Error, Result, reason};
use crate::proto::v1::{self, Ecod, Gaussian, Hbos, Pca, ZScore};
use anomaly_detection::detector::hbos::NBins;
use anomaly_detection::detector::{
    Baseline, EcodParams, GaussianParams, HbosParams, PcaParams, ZScoreParams,
};
use anomaly_detection::table::shortened;

impl From<Gaussian> for GaussianParams {
    fn from(gaussian: Gaussian) -> Self {
        match gaussian.ridge {
            Some(ridge) => Self::new().with_ridge(ridge),
            None => Self::default(),
        }
    }
}

impl From<GaussianParams> for Gaussian {
    fn from(params: GaussianParams) -> Self {
        Self {
            ridge: Some(params.ridge()),
        }
    }
}

impl From<Pca> for PcaParams {
    fn from(pca: Pca) -> Self {
        Self::new().with_n_components(pca.n_components.map(|n| n as usize))
    }
}

impl From<PcaParams> for Pca {
    fn from(params: PcaParams) -> Self {
        Self {
            n_components: params.n_components().and_then(sent),
        }
    }
}

impl TryFrom<ZScore> for ZScoreParams {
    type Error = Error;

    fn try_from(z_score: ZScore) -> Result<Self> {
        let baselines = z_score
            .baselines
            .into_iter()
            .enumerate()
            .map(|(index, baseline)| received(index, baseline));
        Ok(Self::new()
            .with_multiplier(z_score.multiplier)
            .with_baselines(baselines.collect::<Result<_>>()?))
    }
}

fn received(index: usize, baseline: v1::Baseline) -> Result<Baseline> {
    let needed = |value: Option<f64>, field: &str| {
        value.ok_or_else(|| {
            let baseline = match baseline.feature.as_str() {
                "" => format!("baseline {index}"),
                feature => format!("the baseline of {}", shortened(feature)),
            };
            let message = format!("{baseline} has no {field}");
            Error::new(reason::INVALID_PARAMETER, message).at(format!("baselines[{index}].{field}"))
        })
    };
    Ok(Baseline {
        mean: needed(baseline.mean, "mean")?,
        std: needed(baseline.std, "std")?,
        feature: baseline.feature,
    })
}

impl From<ZScoreParams> for ZScore {
    fn from(params: ZScoreParams) -> Self {
        let sent = |baseline: &Baseline| v1::Baseline {
            feature: baseline.feature.clone(),
            mean: Some(baseline.mean),
            std: Some(baseline.std),
        };
        Self {
            multiplier: params.multiplier(),
            baselines: params.baselines().iter().map(sent).collect(),
        }
    }
}

impl TryFrom<Hbos> for HbosParams {
    type Error = Error;

    fn try_from(hbos: Hbos) -> Result<Self> {
        let default = Self::default();
        let n_bins = match (hbos.n_bins, hbos.auto_bins) {
            (None, false) => default.n_bins(),
            (Some(count), false) => NBins::Count(count),
            (None, true) => NBins::Auto,
            (Some(_), true) => {
                let message = "n_bins and auto_bins exclude each other; give one of them";
                return Err(Error::new(reason::INVALID_PARAMETER, message).at("auto_bins"));
            }
        };
        Ok(Self::new()
            .with_n_bins(n_bins)
            .with_alpha(hbos.alpha.unwrap_or(default.alpha()))
            .with_tol(hbos.tol.unwrap_or(default.tol())))
    }
}

impl From<HbosParams> for Hbos {
    fn from(params: HbosParams) -> Self {
        let (n_bins, auto_bins) = match params.n_bins() {
            NBins::Count(count) => (Some(count), false),
            NBins::Auto => (None, true),
        };
        Self {
            n_bins,
            auto_bins,
            alpha: Some(params.alpha()),
            tol: Some(params.tol()),
        }
    }
}

impl From<Ecod> for EcodParams {
    fn from(_: Ecod) -> Self {
        Self::default()
    }
}

impl From<EcodParams> for Ecod {
    fn from(_: EcodParams) -> Self {
        Self {}
    }
}
