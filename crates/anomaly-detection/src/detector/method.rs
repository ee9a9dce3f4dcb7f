//! The traits of all detectors, and what they learn from.

use linfa::ParamGuard;
use ndarray::ArrayView2;

use super::RowSource;
use crate::calibration::Policy;
use crate::context::Context;
use crate::error::{Error, Result, reason};

/// The rows that a detector learns from, after imputation and scaling.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// The rows, n x d, all finite: missing values are imputed.
    pub rows: ArrayView2<'a, f64>,
    /// The same rows with NaN where a value was missing. May be the same matrix if none was.
    pub observed: ArrayView2<'a, f64>,
    /// Whether each row is an anomaly: n labels for a supervised detector, `None` for any other.
    pub labels: Option<&'a [bool]>,
}

impl<'a> Sample<'a> {
    /// Unlabelled rows without missing values.
    pub fn complete(rows: ArrayView2<'a, f64>) -> Self {
        Self {
            rows,
            observed: rows,
            labels: None,
        }
    }
}

/// A sample of the rows that a detector has learned from before.
#[derive(Debug, Clone, Copy)]
pub struct PastRows<'a> {
    /// A uniform sample of all rows seen before, imputed and scaled, all finite.
    pub rows: ArrayView2<'a, f64>,
    /// Whether each of them is an anomaly, for a supervised detector; `None` for any other.
    pub labels: Option<&'a [bool]>,
    /// How many rows were seen before.
    pub seen: u64,
    /// How many of them were normal and how many anomalies, if each class was sampled separately.
    pub seen_by_class: Option<[u64; 2]>,
}

impl PastRows<'_> {
    /// No rows, for tests of detectors that learn exactly and do not need any.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        PastRows {
            seen_by_class: None,
            rows: ArrayView2::from_shape((0, 0), &[]).expect("no rows"),
            labels: None,
            seen: 0,
        }
    }

    /// How many of the rows seen before each row of the sample represents, at least 1; 1 if there are none.
    pub fn weight(&self) -> f64 {
        stands_for(self.seen, self.rows.nrows())
    }

    /// How many rows each normal row and each anomaly of the sample represents; 1 for an empty class.
    pub fn class_weights(&self) -> [f64; 2] {
        let (Some(labels), Some(seen)) = (self.labels, self.seen_by_class) else {
            return [self.weight(); 2];
        };
        let n_anomalies = labels.iter().filter(|&&label| label).count();
        [
            stands_for(seen[0], labels.len() - n_anomalies),
            stands_for(seen[1], n_anomalies),
        ]
    }
}

fn stands_for(seen: u64, n_rows: usize) -> f64 {
    (seen as f64 / n_rows.max(1) as f64).max(1.0)
}

/// A fitted detector with scores of its training rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Learned<D> {
    /// The detector.
    pub detector: D,
    /// Unbiased scores of the rows that it learned from, past rows before those of the sample: the scores that rows like these
    /// get when they are not learned from. `None` if scoring the rows with the detector gives these.
    pub calibration_scores: Option<Vec<f64>>,
}

impl<D> Learned<D> {
    /// A detector that scores its training rows without bias.
    pub fn plain(detector: D) -> Self {
        Self {
            detector,
            calibration_scores: None,
        }
    }

    /// Converts the detector.
    pub fn map<E>(self, form: impl FnOnce(D) -> E) -> Learned<E> {
        Learned {
            detector: form(self.detector),
            calibration_scores: self.calibration_scores,
        }
    }
}

/// A fitted detector.
pub trait Detector: Send + Sync {
    /// The number of features of the rows it scores.
    fn n_features(&self) -> usize;

    /// Scores a chunk of rows on the calling thread. Higher is more anomalous. A row's score depends on that row alone.
    ///
    /// `rows` is n x [`n_features`](Self::n_features) in standard layout with finite values; `scores` has length n.
    fn score_chunk(&self, rows: ArrayView2<'_, f64>, scores: &mut [f64]);

    /// How many rows to score at a time: between two checks for cancellation, and as one thread's share of a batch. Few if a
    /// row takes long, but enough to be scored together.
    fn chunk_rows(&self) -> usize {
        1024
    }

    /// How many rows of a batch of `n_rows` to score at a time: at most [`chunk_rows`](Self::chunk_rows). A batch of more than
    /// half as many rows is divided so that each thread of the pool gets the same number of chunks.
    fn even_chunk_rows(&self, n_rows: usize) -> usize {
        let most = self.chunk_rows();
        if n_rows <= most / 2 {
            return most;
        }
        let n_chunks = n_rows
            .div_ceil(most)
            .next_multiple_of(rayon::current_num_threads());
        n_rows.div_ceil(n_chunks)
    }

    /// The size of the detector in memory, in bytes.
    fn size_bytes(&self) -> usize;

    /// Validates a deserialised detector. Must succeed before the detector scores.
    ///
    /// # Errors
    /// [`reason::DAMAGED_ARTIFACT`](crate::error::reason::DAMAGED_ARTIFACT) if its parts are inconsistent.
    fn validate(&self) -> Result<()>;

    /// The z-score of each feature of a row, for detectors that have them.
    ///
    /// # Panics
    /// If the row has another number of features.
    fn z_scores(&self, _row: &[f64]) -> Option<Vec<f64>> {
        None
    }

    /// How much each feature contributed to the fit, non-negative and summing to 1, for detectors that know it.
    fn feature_importances(&self) -> Option<Vec<f64>> {
        None
    }
}

/// How features are scaled for a detector by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultScaling {
    /// Not at all.
    None,
    /// Standardised: minus the mean, divided by the standard deviation.
    Standard,
    /// Not at all, because the detector scales them itself. Any other scaling is refused.
    Own,
}

/// A detector that its parameters define completely, without any rows to learn from.
#[derive(Debug, Clone, PartialEq)]
pub struct Given<D> {
    /// The detector.
    pub detector: D,
    /// The name of the parameter that defines it.
    pub parameter: &'static str,
    /// The names of its features, in its order.
    pub features: Vec<String>,
    /// The value that is imputed for a missing one, for each feature.
    pub fill: Vec<f64>,
}

impl<D> Given<D> {
    /// The same with the detector in another form.
    pub fn map<E>(self, form: impl FnOnce(D) -> E) -> Given<E> {
        Given {
            detector: form(self.detector),
            parameter: self.parameter,
            features: self.features,
            fill: self.fill,
        }
    }
}

/// How a kind of detector is learned.
pub trait Method: Detector + Sized {
    /// The parameters.
    type Params: ParamGuard<Error = Error> + Clone;

    /// The name of the detector, which is also the name of the request field with its parameters.
    const NAME: &'static str;

    /// Whether it learns from labels.
    const SUPERVISED: bool = false;

    /// How features are scaled for it by default.
    const SCALING: DefaultScaling = DefaultScaling::None;

    /// How its scores become decisions by default.
    fn default_policy() -> Policy {
        Policy::default()
    }

    /// How its scores become decisions if a parameter defines that, with the name of the parameter.
    fn stated_policy(_params: &Self::Params) -> Option<(&'static str, Policy)> {
        None
    }

    /// The detector if its parameters define it completely; `None` if it learns from rows.
    fn given(_params: &<Self::Params as ParamGuard>::Checked) -> Option<Given<Self>> {
        None
    }

    /// The seed of its random choices; 0 if it makes none.
    fn random_state(_params: &Self::Params) -> u64 {
        0
    }

    /// Whether it can learn from more rows than fit in memory.
    const STREAMS: bool = false;

    /// Learns from rows, in parallel on rayon's current pool; rows that are not held are read in a few passes. The result depends
    /// neither on the number of threads, nor on whether the rows are held, nor on how they are cut into chunks.
    ///
    /// # Errors
    /// [`reason::UNUSABLE_ROWS`](crate::error::reason::UNUSABLE_ROWS) if nothing can be learned from the rows, or the detector
    /// would have to hold more of them than it can; [`reason::INVALID_PARAMETER`](crate::error::reason::INVALID_PARAMETER) if a
    /// parameter does not suit them; and those of the passes and of [`Context::check`].
    fn fit(
        params: &<Self::Params as ParamGuard>::Checked,
        rows: &dyn RowSource,
        context: &Context,
    ) -> Result<Learned<Self>>;

    /// The detector after it has also learned from the sample. The cost does not grow with the number of rows seen before.
    ///
    /// # Errors
    /// [`reason::UPDATE_REFUSED`](crate::error::reason::UPDATE_REFUSED) if the detector does not learn; otherwise as
    /// [`fit`](Self::fit).
    fn update(
        &self,
        past: PastRows<'_>,
        sample: Sample<'_>,
        context: &Context,
    ) -> Result<Learned<Self>>;

    /// The parameters that the detector was fitted with, with every default filled in.
    fn params(&self) -> &Self::Params;
}

/// The error of a detector that needs all its training rows in memory.
pub(super) fn cannot_stream(name: &str) -> Error {
    let message = format!(
        "{name} needs all rows in memory at once, and these are too many; learn from a sample of them with sample_rows, or choose \
         a detector that learns in passes"
    );
    Error::new(reason::UNUSABLE_ROWS, message)
}

/// Implements linfa's `Fit` for checked parameters, without past rows and with a context that is never cancelled.
macro_rules! linfa_fit {
    ($params:ty => $fitted:ty) => {
        impl<D, T>
            ::linfa::traits::Fit<::ndarray::ArrayBase<D, ::ndarray::Ix2>, T, $crate::error::Error>
            for $params
        where
            D: ::ndarray::Data<Elem = f64>,
        {
            type Object = $fitted;

            fn fit(
                &self,
                dataset: &::linfa::DatasetBase<::ndarray::ArrayBase<D, ::ndarray::Ix2>, T>,
            ) -> $crate::error::Result<$fitted> {
                let sample = $crate::detector::Sample::complete(dataset.records.view());
                let learned = <$fitted as $crate::detector::Method>::fit(
                    self,
                    &sample,
                    &$crate::context::Context::new(),
                )?;
                Ok(learned.detector)
            }
        }
    };
    ($params:ty => $fitted:ty, supervised) => {
        impl<D, L>
            ::linfa::traits::Fit<
                ::ndarray::ArrayBase<D, ::ndarray::Ix2>,
                ::ndarray::ArrayBase<L, ::ndarray::Ix1>,
                $crate::error::Error,
            > for $params
        where
            D: ::ndarray::Data<Elem = f64>,
            L: ::ndarray::Data<Elem = bool>,
        {
            type Object = $fitted;

            fn fit(
                &self,
                dataset: &::linfa::DatasetBase<
                    ::ndarray::ArrayBase<D, ::ndarray::Ix2>,
                    ::ndarray::ArrayBase<L, ::ndarray::Ix1>,
                >,
            ) -> $crate::error::Result<$fitted> {
                let labels = dataset.targets.to_vec();
                let sample = $crate::detector::Sample {
                    labels: Some(&labels),
                    ..$crate::detector::Sample::complete(dataset.records.view())
                };
                let learned = <$fitted as $crate::detector::Method>::fit(
                    self,
                    &sample,
                    &$crate::context::Context::new(),
                )?;
                Ok(learned.detector)
            }
        }
    };
}

pub(super) use linfa_fit;
