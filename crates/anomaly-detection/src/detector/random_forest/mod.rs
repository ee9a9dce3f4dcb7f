//! Random forest (Breiman, "Random Forests", Machine Learning 45, 2001), which learns from labels.
//!
//! Each tree is grown on a bootstrap sample of the rows and splits on the best of a few features drawn for each split, by the
//! Gini impurity. The score of a row is the probability that it is an anomaly: the mean over the trees of the weighted share of
//! anomalies in the row's leaf. Thresholds lie between at most 256 bins of each feature, learned from the rows; with fewer
//! distinct values they are those of an exact search.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod bag;
mod bins;
mod cuts;
mod fit;
mod forest;
mod groups;
mod grow;
mod join;
mod outcomes;
mod params;
mod rows;
mod split;
mod tree;
mod walk;
mod windows;

#[cfg(test)]
mod tests;

use linfa::ParamGuard;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

pub use params::{MAX_DEPTH, MaxFeatures, RandomForestParams, RandomForestValidParams};

use super::source::all_rows;
use super::{Detector, Learned, Method, PastRows, RowSource, Sample};
use crate::calibration::Policy;
use crate::context::Context;
use crate::error::{Error, Result, reason};
use forest::Forest;

/// The most traversals of a tree by a row between two checks of the context.
const CHUNK_WALKS: usize = 4096 * 400;

/// A fitted random forest. Scores are probabilities, in [0, 1].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RandomForest {
    params: RandomForestParams,
    n_features: usize,
    /// The tree that an update replaces first.
    oldest: usize,
    forest: Forest,
}

impl Detector for RandomForest {
    fn n_features(&self) -> usize {
        self.n_features
    }

    fn score_chunk(&self, rows: ArrayView2<'_, f64>, scores: &mut [f64]) {
        assert_eq!(
            rows.dim(),
            (scores.len(), self.n_features),
            "a score for each row, of the forest's features"
        );
        self.forest.sum_chunk(rows, scores);
        let n_trees = self.forest.trees.n_trees() as f64;
        scores.iter_mut().for_each(|score| *score /= n_trees);
    }

    /// Many rows, because each tree is loaded into the cache once for all of them.
    fn chunk_rows(&self) -> usize {
        (CHUNK_WALKS / self.forest.trees.n_trees().max(1)).clamp(128, forest::MAX_CHUNK)
    }

    fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.forest.size_bytes()
    }

    fn validate(&self) -> Result<()> {
        let damaged = |what: &str| {
            Error::new(
                reason::DAMAGED_ARTIFACT,
                format!("damaged random forest: {what}"),
            )
        };
        let n_trees = match self.params.check_ref() {
            Ok(params) => params.n_estimators(),
            Err(error) => return Err(damaged(error.message())),
        };
        if self.n_features == 0 || self.oldest >= n_trees {
            return Err(damaged(
                "it has no features, or its oldest tree does not exist",
            ));
        }
        let Forest { cuts, trees, .. } = &self.forest;
        let fault = cuts
            .fault(self.n_features)
            .or_else(|| trees.fault(n_trees, cuts));
        fault.map_or(Ok(()), |fault| Err(damaged(fault)))
    }

    fn feature_importances(&self) -> Option<Vec<f64>> {
        Some(self.forest.importances(self.n_features))
    }
}

impl Method for RandomForest {
    type Params = RandomForestParams;

    const NAME: &'static str = "random_forest";

    const SUPERVISED: bool = true;

    /// Flags rows that are more likely anomalies than not.
    fn default_policy() -> Policy {
        Policy::Threshold(0.5)
    }

    fn random_state(params: &RandomForestParams) -> u64 {
        params.random_state()
    }

    /// Calibration scores are out of bag: the mean over the trees whose bags do not hold the row. A row in every bag gets its
    /// ordinary score.
    fn fit(
        params: &RandomForestValidParams,
        rows: &dyn RowSource,
        context: &Context,
    ) -> Result<Learned<Self>> {
        params.fit_rows(all_rows(rows, Self::NAME)?, context)
    }

    /// Replaces the oldest trees, in rotation, with new ones. These are grown on the past rows and the sample, where each past
    /// row is drawn as often as the rows that it stands for, and choose among thresholds of their own. The share of new trees
    /// is that of the sample among all rows seen, rounded up.
    ///
    /// The calibration score of a row of the sample is its mean score in the kept trees, none of which has learned from it, and
    /// in the new trees whose bags do not hold it. Which kept trees have learned from a past row is not known, so its score is
    /// the mean over the new trees whose bags do not hold it; if there are none, it is its ordinary score.
    fn update(
        &self,
        past: PastRows<'_>,
        sample: Sample<'_>,
        context: &Context,
    ) -> Result<Learned<Self>> {
        self.replace(self.params.check_ref()?, past, sample, context)
    }

    fn params(&self) -> &RandomForestParams {
        &self.params
    }
}
