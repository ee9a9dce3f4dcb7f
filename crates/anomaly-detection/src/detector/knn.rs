//! Distance to the nearest rows (Ramaswamy, Rastogi and Shim, "Efficient Algorithms for Mining Outliers from Large Data Sets",
//! SIGMOD 2000; Angiulli and Pizzuti, "Fast Outlier Detection in High Dimensional Spaces", PKDD 2002).

use linfa::ParamGuard;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::method::linfa_fit;
use super::neighbors::{Index, Neighbor, Union, check_n_neighbors, chunk_rows, damaged};
use super::params::params;
use super::source::all_rows;
use super::{DefaultScaling, Detector, Learned, Method, PastRows, RowSource, Sample};
use crate::context::Context;
use crate::error::Result;

/// The default number of neighbours.
pub const DEFAULT_NEIGHBORS: usize = 5;

/// How the distances to the nearest rows are combined into the score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KnnMethod {
    /// The distance to the farthest of them (Ramaswamy, Rastogi and Shim 2000). The default.
    #[default]
    Largest,
    /// The mean of the distances (Angiulli and Pizzuti 2002).
    Mean,
    /// The median of the distances.
    Median,
}

params! {
    /// The parameters of [`Knn`].
    KnnParams => KnnValidParams {
        /// How many nearest rows count, 1 to 10,000; all other rows if there are fewer. Default 5.
        n_neighbors, with_n_neighbors: usize = DEFAULT_NEIGHBORS,
        /// How the distances to them are combined into the score. Default [`KnnMethod::Largest`].
        method, with_method: KnnMethod = KnnMethod::default(),
    }
}

impl KnnValidParams {
    fn check_values(&self) -> Result<()> {
        check_n_neighbors(self.n_neighbors)
    }
}

linfa_fit!(KnnValidParams => Knn);

/// A fitted k-nearest-neighbours detector.
///
/// The score of a new row is its distance to the training rows; a training row finds itself at distance 0, as in PyOD's
/// `decision_function`. The calibration scores are those of each row among all others, PyOD's `decision_scores_`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Knn {
    params: KnnParams,
    index: Index,
}

impl KnnMethod {
    /// The score of a row with these neighbours, nearest first.
    fn score(self, found: &[Neighbor]) -> f64 {
        match self {
            Self::Largest => found.last().map_or(0.0, Neighbor::distance),
            Self::Mean => {
                let weighted = |it: &Neighbor| f64::from(it.copies) * it.distance();
                found.iter().map(weighted).sum::<f64>() / n_rows(found) as f64
            }
            Self::Median => {
                let last = n_rows(found).saturating_sub(1);
                0.5 * (nth(found, last / 2) + nth(found, last.div_ceil(2)))
            }
        }
    }
}

/// The number of rows, copies included.
fn n_rows(found: &[Neighbor]) -> usize {
    found.iter().map(|it| it.copies as usize).sum()
}

/// The distance to the nth row, counted from 0.
fn nth(found: &[Neighbor], mut n: usize) -> f64 {
    for it in found {
        match n.checked_sub(it.copies as usize) {
            Some(rest) => n = rest,
            None => return it.distance(),
        }
    }
    0.0
}

impl Knn {
    fn learn(
        params: &KnnValidParams,
        parts: &[ArrayView2<'_, f64>],
        context: &Context,
    ) -> Result<Learned<Self>> {
        let (index, point_of_row) = Index::learn(parts, context)?;
        let mut scores = vec![0.0; index.n_points()];
        let n_neighbors = index.n_neighbors(params.n_neighbors);
        index.leave_one_out(n_neighbors, 1, &mut scores, context, |found, score| {
            score[0] = params.method.score(found);
        })?;
        let scores = point_of_row.iter().map(|&i| scores[i as usize]).collect();
        let params = params.clone().into();
        Ok(Learned {
            detector: Self { params, index },
            calibration_scores: Some(scores),
        })
    }
}

impl Detector for Knn {
    fn n_features(&self) -> usize {
        self.index.n_features()
    }

    fn score_chunk(&self, rows: ArrayView2<'_, f64>, scores: &mut [f64]) {
        assert_eq!(
            rows.dim(),
            (scores.len(), self.n_features()),
            "shape of the rows"
        );
        let n_neighbors = self.index.n_neighbors(self.params.n_neighbors());
        self.index.nearest(n_neighbors, rows, |row, found| {
            scores[row] = self.params.method().score(found);
        });
    }

    fn chunk_rows(&self) -> usize {
        chunk_rows(self.params.n_neighbors())
    }

    fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.index.size_bytes()
    }

    fn validate(&self) -> Result<()> {
        if self.params.check_ref().is_err() {
            return Err(damaged("the parameters are out of range"));
        }
        self.index.validate()
    }
}

impl Method for Knn {
    type Params = KnnParams;

    const NAME: &'static str = "knn";

    const SCALING: DefaultScaling = DefaultScaling::Standard;

    fn fit(
        params: &KnnValidParams,
        rows: &dyn RowSource,
        context: &Context,
    ) -> Result<Learned<Self>> {
        let sample = all_rows(rows, Self::NAME)?;
        Self::learn(params, &[sample.rows], context)
    }

    /// Learns again from the past rows and from a uniform sample of the new rows at the same rate, which is all of them while the
    /// past rows are all rows seen. All new rows get calibration scores; those that were not drawn are scored as unseen rows.
    fn update(
        &self,
        past: PastRows<'_>,
        sample: Sample<'_>,
        context: &Context,
    ) -> Result<Learned<Self>> {
        let union = Union::new(self.n_features(), &past, &sample)?;
        let learned = Self::learn(self.params.check_ref()?, &union.parts(), context)?;
        union.complete(learned, context)
    }

    fn params(&self) -> &KnnParams {
        &self.params
    }
}

#[cfg(test)]
mod tests;
