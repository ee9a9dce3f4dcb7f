//! Z-score: the score of a row is the largest absolute z-score of its features.
//!
//! Mean and standard deviation (n - 1 in the denominator) of each feature are learned from its observed values, or given as
//! baselines. A constant feature has the scale 1e-12 max(1, |mean|), and z-scores are clamped to 1e100 in absolute value.

use std::collections::HashSet;

use linfa::ParamGuard;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::method::linfa_fit;
use super::params::params;
use super::source::pass;
use super::{
    Detector, Given, Learned, Method, PastRows, RowSource, Sample, check_n_features, scale, z_score,
};
use crate::calibration::Policy;
use crate::context::Context;
use crate::error::{Error, Result, reason};
use crate::statistics::ColumnError;
use crate::statistics::moments::{FeatureMoments, FeatureMomentsStream};

/// The default multiplier, which is the threshold, if no contamination is given either.
pub const DEFAULT_MULTIPLIER: f64 = 3.0;

params! {
    /// The parameters of [`ZScore`].
    ZScoreParams => ZScoreValidParams {
        /// The score above which a row is an anomaly: finite, greater than 0. `None` if the threshold comes from elsewhere.
        multiplier, with_multiplier: Option<f64> = None,
        /// Given statistics of each feature, in feature order; empty to learn them.
        baselines, with_baselines: Vec<Baseline> as [Baseline] = Vec::new(),
    }
}

/// The given mean and standard deviation of one feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The name of the feature; unique and not empty.
    pub feature: String,
    /// The mean; finite.
    pub mean: f64,
    /// The standard deviation; finite, greater than 0.
    pub std: f64,
}

impl ZScoreValidParams {
    fn check_values(&self) -> Result<()> {
        if let Some(multiplier) = self.multiplier
            && !is_positive(multiplier)
        {
            let message =
                format!("the multiplier is {multiplier}; it must be finite and greater than 0");
            return Err(invalid("multiplier", message));
        }
        let mut names = HashSet::new();
        for (i, baseline) in self.baselines.iter().enumerate() {
            baseline
                .check()
                .map_err(|error| error.within(&format!("baselines[{i}]")))?;
            if !names.insert(baseline.feature.as_str()) {
                let message = format!("the feature {:?} is given twice", baseline.feature);
                return Err(invalid(&format!("baselines[{i}].feature"), message));
            }
        }
        Ok(())
    }
}

impl Baseline {
    fn check(&self) -> Result<()> {
        let Self { feature, mean, std } = self;
        if feature.is_empty() {
            return Err(invalid("feature", "the name of the feature is empty"));
        }
        if !mean.is_finite() {
            let message = format!("the mean of {feature:?} is {mean}; it must be finite");
            return Err(invalid("mean", message));
        }
        if !is_positive(*std) {
            let message = format!(
                "the standard deviation of {feature:?} is {std}; it must be finite and greater than 0"
            );
            return Err(invalid("std", message));
        }
        Ok(())
    }
}

impl ZScoreValidParams {
    /// Fits on the values that are present, in one pass.
    ///
    /// # Errors
    /// [`reason::INVALID_PARAMETER`] when baselines are given; [`reason::UNUSABLE_ROWS`] for fewer than two rows, and, as a
    /// [`ColumnError`], for a column without values or whose variance is not finite; and those of [`Context::check`].
    pub fn fit_rows(&self, source: &dyn RowSource, context: &Context) -> Result<ZScore> {
        if !self.baselines.is_empty() {
            let message = "baselines are given, so that nothing is learned; leave out either them or the records";
            return Err(invalid("baselines", message));
        }
        let n = source.n_rows();
        if n < 2 {
            let message = format!("there are {n} rows; at least 2 are needed");
            return Err(Error::new(reason::UNUSABLE_ROWS, message));
        }
        let mut moments = FeatureMomentsStream::new(source.n_features());
        pass(source, context, &mut |_, chunk| {
            moments.push(chunk.observed, context)
        })?;
        let moments = moments.finish(context)?;
        if let Some(column) = moments.n().iter().position(|&n| n == 0) {
            return Err(ColumnError::no_values(column).into());
        }
        context.check()?;
        Ok(ZScore::learned(self.clone().into(), moments))
    }
}

linfa_fit!(ZScoreValidParams => ZScore);

/// A fitted z-score detector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ZScore {
    params: ZScoreParams,
    /// The learned moments; `None` if baselines were given.
    moments: Option<FeatureMoments>,
    #[serde(with = "crate::le_bytes")]
    mean: Vec<f64>,
    /// The rounding error of each mean.
    #[serde(with = "crate::le_bytes")]
    mean_low: Vec<f64>,
    #[serde(with = "crate::le_bytes")]
    std: Vec<f64>,
}

impl ZScore {
    /// A detector with given baselines. Its features are those of the baselines, in their order.
    ///
    /// `None` if there are no baselines.
    pub fn from_baselines(params: &ZScoreValidParams) -> Option<Self> {
        (!params.baselines.is_empty()).then(|| Self {
            moments: None,
            mean: params.baselines.iter().map(|b| b.mean).collect(),
            mean_low: vec![0.0; params.baselines.len()],
            std: params.baselines.iter().map(|b| b.std).collect(),
            params: params.clone().into(),
        })
    }

    fn learned(params: ZScoreParams, moments: FeatureMoments) -> Self {
        let mean = moments.mean().to_vec();
        let std = moments.std().into_iter().zip(&mean);
        Self {
            std: std.map(|(std, &mean)| scale(std, mean)).collect(),
            params,
            mean_low: moments.mean_low().to_vec(),
            moments: Some(moments),
            mean,
        }
    }

    fn z(&self, row: &[f64]) -> impl Iterator<Item = f64> {
        let means = self.mean.iter().copied().zip(self.mean_low.iter().copied());
        row.iter()
            .zip(means.zip(&self.std))
            .map(|(&x, (mean, &std))| z_score(x, mean, std))
    }
}

impl Detector for ZScore {
    fn n_features(&self) -> usize {
        self.mean.len()
    }

    fn score_chunk(&self, rows: ArrayView2<'_, f64>, scores: &mut [f64]) {
        let d = self.mean.len();
        assert_eq!(rows.dim(), (scores.len(), d), "shape of the rows");
        let rows = rows.as_standard_layout();
        let (Some(values), 1..) = (rows.as_slice(), d) else {
            scores.fill(0.0);
            return;
        };
        for (row, score) in values.chunks_exact(d).zip(scores) {
            *score = self.z(row).fold(0.0, |largest, z| z.abs().max(largest));
        }
    }

    fn size_bytes(&self) -> usize {
        let baselines = self.params.baselines().iter();
        let names: usize = baselines
            .map(|baseline| size_of::<Baseline>() + baseline.feature.len())
            .sum();
        let moments = self.moments.as_ref().map_or(0, FeatureMoments::size_bytes);
        size_of::<Self>() + names + moments + 24 * self.mean.len()
    }

    fn validate(&self) -> Result<()> {
        let n_features = match &self.moments {
            Some(moments) => {
                moments.validate()?;
                moments.n_features()
            }
            None => self.params.baselines().len(),
        };
        let fits = self.params.check_ref().is_ok()
            && self.moments.is_some() == self.params.baselines().is_empty()
            && self.mean.len() == n_features
            && self.mean_low.len() == n_features
            && self.std.len() == n_features
            && self
                .mean
                .iter()
                .chain(&self.mean_low)
                .all(|x| x.is_finite())
            && self.std.iter().all(|&std| is_positive(std));
        if !fits {
            let message = "the parts of the z_score detector do not fit together";
            return Err(Error::new(reason::DAMAGED_ARTIFACT, message));
        }
        Ok(())
    }

    fn z_scores(&self, row: &[f64]) -> Option<Vec<f64>> {
        assert_eq!(row.len(), self.mean.len(), "number of features");
        Some(self.z(row).collect())
    }
}

impl Method for ZScore {
    type Params = ZScoreParams;

    const NAME: &'static str = "z_score";

    const STREAMS: bool = true;

    /// The multiplier's default.
    fn default_policy() -> Policy {
        Policy::Threshold(DEFAULT_MULTIPLIER)
    }

    fn stated_policy(params: &ZScoreParams) -> Option<(&'static str, Policy)> {
        let multiplier = params.multiplier()?;
        Some(("multiplier", Policy::Threshold(multiplier)))
    }

    fn given(params: &ZScoreValidParams) -> Option<Given<Self>> {
        let detector = Self::from_baselines(params)?;
        let baselines = detector.params.baselines().iter();
        Some(Given {
            features: baselines.map(|b| b.feature.clone()).collect(),
            fill: detector.mean.clone(),
            parameter: "baselines",
            detector,
        })
    }

    /// Takes one pass over the rows.
    fn fit(
        params: &ZScoreValidParams,
        rows: &dyn RowSource,
        context: &Context,
    ) -> Result<Learned<Self>> {
        params.fit_rows(rows, context).map(Learned::plain)
    }

    /// Merges the moments exactly. Refused if baselines were given.
    fn update(
        &self,
        _: PastRows<'_>,
        sample: Sample<'_>,
        context: &Context,
    ) -> Result<Learned<Self>> {
        let Some(moments) = &self.moments else {
            let message = "the model was given its baselines and learns nothing; train the run again, with other baselines or with records";
            return Err(Error::new(reason::UPDATE_REFUSED, message));
        };
        check_n_features(sample.observed, self.mean.len())?;
        context.check()?;
        let mut moments = moments.clone();
        moments.merge(&FeatureMoments::of(sample.observed)?)?;
        Ok(Learned::plain(Self::learned(self.params.clone(), moments)))
    }

    fn params(&self) -> &ZScoreParams {
        &self.params
    }
}

fn is_positive(x: f64) -> bool {
    x.is_finite() && x > 0.0
}

fn invalid(field: &str, message: impl Into<String>) -> Error {
    Error::new(reason::INVALID_PARAMETER, message).at(field)
}

#[cfg(test)]
mod tests;
