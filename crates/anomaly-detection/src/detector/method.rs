//! What every detector is: how it learns, how it scores, and what it learns from.

use linfa::ParamGuard;
use ndarray::ArrayView2;

use super::RowSource;
use crate::context::Context;
use crate::error::{Error, Result, reason};

/// The rows that a detector learns from, after imputation and scaling.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// The rows, n x d, all finite: missing values are imputed.
    pub rows: ArrayView2<'a, f64>,
    /// The same rows with NaN where a value was missing. May be the very same matrix where none was.
    pub observed: ArrayView2<'a, f64>,
    /// Whether each row is an anomaly: n labels for a supervised detector, none for any other.
    pub labels: Option<&'a [bool]>,
}

impl<'a> Sample<'a> {
    /// Rows in which nothing was missing, without labels.
    pub fn complete(rows: ArrayView2<'a, f64>) -> Self {
        Self {
            rows,
            observed: rows,
            labels: None,
        }
    }
}

/// What stands for the rows that a detector has learned from before.
#[derive(Debug, Clone, Copy)]
pub struct History<'a> {
    /// A uniform sample of all rows seen before, imputed and scaled, all finite.
    pub rows: ArrayView2<'a, f64>,
    /// Whether each of them is an anomaly: for a supervised detector, none for any other.
    pub labels: Option<&'a [bool]>,
    /// How many rows were seen before.
    pub seen: u64,
    /// How many of them were normal and how many anomalies, where the sample is a uniform one of each class apart.
    pub seen_by_class: Option<[u64; 2]>,
}

impl History<'_> {
    /// No row at all, for tests of detectors that learn exactly and look at none.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        History {
            seen_by_class: None,
            rows: ArrayView2::from_shape((0, 0), &[]).expect("no rows"),
            labels: None,
            seen: 0,
        }
    }

    /// How many of the rows seen before each row of the sample stands for, at least 1; 1 without any.
    pub fn weight(&self) -> f64 {
        stands_for(self.seen, self.rows.nrows())
    }

    /// How many rows each normal row and each anomaly of the sample stands for; 1 for a class without any.
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

/// A detector, and what its learning says of the rows that it learned from.
#[derive(Debug, Clone, PartialEq)]
pub struct Learned<D> {
    /// The detector.
    pub detector: D,
    /// Honest scores of the rows it learned from, those of the history before those of the sample: such as each row would get
    /// had it not been learned from. `None` where scoring the rows gives that.
    pub calibration_scores: Option<Vec<f64>>,
}

impl<D> Learned<D> {
    /// A detector for which a row that it has learned from is a row like any other.
    pub fn plain(detector: D) -> Self {
        Self {
            detector,
            calibration_scores: None,
        }
    }

    /// The same with the detector in another form.
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

    /// Scores a block of rows on the calling thread. Higher is more anomalous. A row's score depends on that row alone.
    ///
    /// `rows` is n x [`n_features`](Self::n_features) in standard layout with finite values; `scores` has length n.
    fn score_block(&self, rows: ArrayView2<'_, f64>, scores: &mut [f64]);

    /// How many rows to score at a time: between two looks at whether anyone still waits, and by one of the threads that share
    /// a batch. Few where a row takes long, but enough to be scored together.
    fn block_rows(&self) -> usize {
        1024
    }

    /// How many rows of a batch of `n_rows` to score at a time: at most [`block_rows`](Self::block_rows), and where there are
    /// more than half as many, so many that each thread of the pool gets the same number of blocks.
    fn even_block_rows(&self, n_rows: usize) -> usize {
        let most = self.block_rows();
        if n_rows <= most / 2 {
            return most;
        }
        let n_blocks = n_rows
            .div_ceil(most)
            .next_multiple_of(rayon::current_num_threads());
        n_rows.div_ceil(n_blocks)
    }

    /// The bytes that the detector takes in memory.
    fn size_bytes(&self) -> usize;

    /// Checks a detector that was read from outside; only then may it score.
    ///
    /// # Errors
    /// [`reason::DAMAGED_ARTIFACT`](crate::error::reason::DAMAGED_ARTIFACT) when its parts do not fit together.
    fn validate(&self) -> Result<()>;

    /// The z-score of each feature of a row, for the detectors that have them.
    ///
    /// # Panics
    /// If the row has another number of features.
    fn z_scores(&self, _row: &[f64]) -> Option<Vec<f64>> {
        None
    }

    /// How much each feature contributed to the fit, not negative and 1 in sum, for the detectors that know it.
    fn feature_importances(&self) -> Option<Vec<f64>> {
        None
    }
}

/// How the features reach a detector when a request does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultScaling {
    /// As they are.
    None,
    /// Less the mean, divided by the standard deviation.
    Standard,
    /// As they are, because the detector brings its own scale; another one is refused.
    Own,
}

/// A way to learn a detector of one kind.
pub trait Method: Detector + Sized {
    /// The parameters.
    type Params: ParamGuard<Error = Error> + Clone;

    /// The name of the detector, as in the field of a request that holds its parameters.
    const NAME: &'static str;

    /// Whether it learns from labels.
    const SUPERVISED: bool = false;

    /// How the features reach it when a request does not say.
    const SCALING: DefaultScaling = DefaultScaling::None;

    /// The seed of its random choices; 0 for one that makes none.
    fn random_state(_params: &Self::Params) -> u64 {
        0
    }

    /// Learns from a sample, in parallel on rayon's current pool; the number of threads changes nothing.
    ///
    /// # Errors
    /// [`reason::UNUSABLE_ROWS`](crate::error::reason::UNUSABLE_ROWS) where nothing can be learned from the rows,
    /// [`reason::INVALID_PARAMETER`](crate::error::reason::INVALID_PARAMETER) where a parameter does not suit them, and what
    /// `context` has to say.
    fn fit(
        params: &<Self::Params as ParamGuard>::Checked,
        sample: Sample<'_>,
        context: &Context,
    ) -> Result<Learned<Self>>;

    /// Whether it can learn from rows that are too many to be held.
    const STREAMS: bool = false;

    /// Learns from rows that are too many to be held what [`fit`](Self::fit) learns from them, to the bit and however they
    /// are cut; in few passes, in parallel on rayon's current pool.
    ///
    /// # Errors
    /// As [`fit`](Self::fit), those of the passes, and [`reason::UNUSABLE_ROWS`](crate::error::reason::UNUSABLE_ROWS) from a
    /// detector that cannot, or would have to hold too many of the rows.
    fn fit_streamed(
        _params: &<Self::Params as ParamGuard>::Checked,
        _source: &dyn RowSource,
        _context: &Context,
    ) -> Result<Learned<Self>> {
        Err(cannot_stream(Self::NAME))
    }

    /// A detector that has learned from the sample, too. The cost does not grow with the number of rows seen before.
    ///
    /// # Errors
    /// [`reason::UPDATE_REFUSED`](crate::error::reason::UPDATE_REFUSED) when the detector does not learn; otherwise as
    /// [`fit`](Self::fit).
    fn update(
        &self,
        history: History<'_>,
        sample: Sample<'_>,
        context: &Context,
    ) -> Result<Learned<Self>>;

    /// The parameters that the detector was fitted with, with every default filled in.
    fn params(&self) -> &Self::Params;
}

/// What a detector says that has to hold all rows that it learns from.
pub(super) fn cannot_stream(name: &str) -> Error {
    let message = format!(
        "{name} learns from rows only that can all be held in memory, and these are too many; learn from a sample of them with \
         sample_rows, or choose a detector that learns in passes"
    );
    Error::new(reason::UNUSABLE_ROWS, message)
}

/// Makes checked parameters fit as linfa's do: without history, and with a context that never ends.
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
                    sample,
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
                    sample,
                    &$crate::context::Context::new(),
                )?;
                Ok(learned.detector)
            }
        }
    };
}

pub(super) use linfa_fit;
