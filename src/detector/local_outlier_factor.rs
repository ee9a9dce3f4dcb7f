//! Local outlier factor (Breunig, Kriegel, Ng and Sander, "LOF: Identifying Density-Based Local Outliers", SIGMOD 2000).

use linfa::ParamGuard;
use ndarray::ArrayView2;
use rayon::prelude::*;
use ref_cast::{RefCastCustom, ref_cast_custom};
use serde::{Deserialize, Serialize};

use super::method::linfa_fit;
use super::neighbors::{Index, MAX_BYTES, Neighbor, Union, check_n_neighbors, damaged};
use super::{DefaultScaling, Detector, History, Learned, Method, Sample};
use crate::context::Context;
use crate::error::{Error, Reason, Result};

/// The neighbours when no number is given.
pub const DEFAULT_NEIGHBORS: usize = 20;

/// Added to each mean reachability distance, as in scikit-learn: where more rows are equal than there are neighbours, it is 0.
const LEAST_REACH: f64 = 1e-10;

/// The distances and the densities that there can be. Nothing that is computed of them overflows.
const RANGE: std::ops::RangeInclusive<f64> = 0.0..=1e160;

/// The parameters of [`LocalOutlierFactor`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LocalOutlierFactorParams {
    /// How many nearest rows a row's density is compared with, 1 to 10,000; all other rows where there are fewer. Default 20.
    pub n_neighbors: usize,
}

impl Default for LocalOutlierFactorParams {
    fn default() -> Self {
        Self {
            n_neighbors: DEFAULT_NEIGHBORS,
        }
    }
}

/// Checked [`LocalOutlierFactorParams`].
#[derive(Debug, Clone, PartialEq, RefCastCustom)]
#[repr(transparent)]
pub struct LocalOutlierFactorValidParams(LocalOutlierFactorParams);

impl ParamGuard for LocalOutlierFactorParams {
    type Checked = LocalOutlierFactorValidParams;
    type Error = Error;

    fn check_ref(&self) -> Result<&Self::Checked> {
        check_n_neighbors(self.n_neighbors)?;
        Ok(LocalOutlierFactorValidParams::trust(self))
    }

    fn check(self) -> Result<Self::Checked> {
        self.check_ref()?;
        Ok(LocalOutlierFactorValidParams(self))
    }
}

impl LocalOutlierFactorValidParams {
    #[ref_cast_custom]
    fn trust(params: &LocalOutlierFactorParams) -> &Self;
}

linfa_fit!(LocalOutlierFactorValidParams => LocalOutlierFactor);

/// A fitted local outlier factor.
///
/// The score of a new row is the negative of scikit-learn's `score_samples` with `novelty=True`: about 1 where the row's
/// surroundings are as dense as those of its neighbours, more where they are sparser. One that was learned meets itself at
/// distance 0. The calibration scores are those of each row among all others, the negative of `negative_outlier_factor_`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LocalOutlierFactor {
    params: LocalOutlierFactorParams,
    index: Index,
    /// For each point of the index the distance to the farthest neighbour of one of its rows.
    #[serde(with = "crate::le_bytes")]
    k_distances: Vec<f64>,
    /// For each point the local reachability density of its rows.
    #[serde(with = "crate::le_bytes")]
    densities: Vec<f64>,
}

impl LocalOutlierFactor {
    fn learn(
        params: &LocalOutlierFactorParams,
        parts: &[ArrayView2<'_, f64>],
        context: &Context,
    ) -> Result<(Self, Vec<f64>)> {
        let (index, point_of_row) = Index::learn(parts, context)?;
        let k = index.n_neighbors(params.n_neighbors);
        let mut neighbors = neighbor_lists(index.n_points(), k)?;
        index.leave_one_out(k, k, &mut neighbors, context, |found, list| {
            list[..found.len()].copy_from_slice(found);
        })?;
        let lists = || neighbors.par_chunks_exact(k).map(present);
        let farthest = |list: &[Neighbor]| list.last().map_or(0.0, Neighbor::distance);
        let mut model = Self {
            params: params.clone(),
            k_distances: lists().map(farthest).collect(),
            densities: Vec::new(),
            index,
        };
        context.check()?;
        model.densities = lists().map(|list| model.density(list)).collect();
        context.check()?;
        let densities = model.densities.par_iter();
        let scores: Vec<f64> = lists()
            .zip(densities)
            .map(|(list, &density)| model.factor(list, density))
            .collect();
        let scores = point_of_row.iter().map(|&i| scores[i as usize]).collect();
        Ok((model, scores))
    }

    /// The local reachability density of a row with these nearest rows.
    fn density(&self, found: &[Neighbor]) -> f64 {
        let reach = |it: &Neighbor| it.distance().max(self.k_distances[it.position as usize]);
        1.0 / (mean(found, reach) + LEAST_REACH)
    }

    /// The factor of a row of this density with these nearest rows.
    fn factor(&self, found: &[Neighbor], density: f64) -> f64 {
        mean(found, |it| self.densities[it.position as usize]) / density
    }
}

/// Room for `k` neighbours of each of `n` points, where it is not too much.
fn neighbor_lists(n: usize, k: usize) -> Result<Vec<Neighbor>> {
    let bytes = n.saturating_mul(k).saturating_mul(size_of::<Neighbor>());
    if bytes > MAX_BYTES {
        let message = format!(
            "{k} neighbours of each of {n} rows take {bytes} bytes, and at most {MAX_BYTES} are allowed; lower n_neighbors or \
             learn from fewer rows"
        );
        return Err(Error::new(Reason::InvalidParameter, message).at("n_neighbors"));
    }
    Ok(vec![Neighbor::default(); n * k])
}

/// The neighbours of a list, which ends with those that are no row.
fn present(list: &[Neighbor]) -> &[Neighbor] {
    &list[..list.partition_point(|it| it.copies > 0)]
}

/// The mean of a value over the rows.
fn mean(found: &[Neighbor], value: impl Fn(&Neighbor) -> f64) -> f64 {
    let (sum, n) = found.iter().fold((0.0, 0.0), |(sum, n), it| {
        let copies = f64::from(it.copies);
        (sum + copies * value(it), n + copies)
    });
    sum / n
}

impl Detector for LocalOutlierFactor {
    fn n_features(&self) -> usize {
        self.index.n_features()
    }

    fn score_block(&self, rows: ArrayView2<'_, f64>, scores: &mut [f64]) {
        let k = self.index.n_neighbors(self.params.n_neighbors);
        let mut scores = scores.iter_mut();
        self.index.nearest(k, rows, |found| {
            if let Some(score) = scores.next() {
                *score = self.factor(found, self.density(found));
            }
        });
    }

    fn size_bytes(&self) -> usize {
        size_of::<Self>()
            + self.index.size_bytes()
            + 8 * (self.k_distances.len() + self.densities.len())
    }

    fn validate(&self) -> Result<()> {
        self.index.validate()?;
        let n = self.index.n_points();
        let fits = self.params.check_ref().is_ok()
            && self.k_distances.len() == n
            && self.densities.len() == n
            && self.k_distances.iter().all(|it| RANGE.contains(it))
            && self.densities.iter().all(|it| RANGE.contains(it));
        if !fits {
            return Err(damaged("its densities do not fit its points"));
        }
        Ok(())
    }
}

impl Method for LocalOutlierFactor {
    type Params = LocalOutlierFactorParams;

    const NAME: &'static str = "local_outlier_factor";

    const SCALING: DefaultScaling = DefaultScaling::Standard;

    fn fit(
        params: &LocalOutlierFactorValidParams,
        sample: Sample<'_>,
        context: &Context,
    ) -> Result<Learned<Self>> {
        let (detector, scores) = Self::learn(&params.0, &[sample.rows], context)?;
        Ok(Learned {
            detector,
            calibration_scores: Some(scores),
        })
    }

    /// Learns anew from the history's rows and from a uniform draw of the new rows at the same rate: all of them while the
    /// history is all rows seen. Calibration scores come for all new rows; those that were not drawn are scored as new ones.
    fn update(
        &self,
        history: History<'_>,
        sample: Sample<'_>,
        context: &Context,
    ) -> Result<Learned<Self>> {
        let union = Union::new(self.n_features(), &history, &sample)?;
        let (detector, scores) = Self::learn(&self.params, &union.parts(), context)?;
        let scores = union.scores(scores, &detector, context)?;
        Ok(Learned {
            detector,
            calibration_scores: Some(scores),
        })
    }

    fn params(&self) -> &LocalOutlierFactorParams {
        &self.params
    }
}

#[cfg(test)]
mod tests;
