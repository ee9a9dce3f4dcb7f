//! Local outlier factor (Breunig, Kriegel, Ng and Sander, "LOF: Identifying Density-Based Local Outliers", SIGMOD 2000).

use std::ops::RangeInclusive;

use linfa::ParamGuard;
use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::method::linfa_fit;
use super::neighbors::{Index, MAX_BYTES, Neighbor, Union, check_n_neighbors, chunk_rows, damaged};
use super::params::params;
use super::source::all_rows;
use super::{DefaultScaling, Detector, Learned, Method, PastRows, RowSource, Sample};
use crate::context::Context;
use crate::error::{Error, Result, reason};

/// The default number of neighbours.
pub const DEFAULT_NEIGHBORS: usize = 20;

/// Added to each mean reachability distance, as in scikit-learn: it is 0 if a row has more copies than neighbours.
const LEAST_REACH: f64 = 1e-10;

/// The number of neighbour lists between two checks of the context.
const LISTS: usize = 1024;

/// The range of possible distances, with a little margin.
const DISTANCES: RangeInclusive<f64> = 0.0..=1e155;

/// The range of possible densities, with a little margin above that of equal rows. Within it no score overflows.
const DENSITIES: RangeInclusive<f64> = 0.0..=1.0001 / LEAST_REACH;

params! {
    /// The parameters of [`LocalOutlierFactor`].
    LocalOutlierFactorParams => LocalOutlierFactorValidParams {
        /// How many nearest rows a row's density is compared with, 1 to 10,000; all other rows if there are fewer. Default 20.
        n_neighbors, with_n_neighbors: usize = DEFAULT_NEIGHBORS,
    }
}

impl LocalOutlierFactorValidParams {
    fn check_values(&self) -> Result<()> {
        check_n_neighbors(self.n_neighbors)
    }
}

linfa_fit!(LocalOutlierFactorValidParams => LocalOutlierFactor);

/// A fitted local outlier factor.
///
/// The score of a new row is the negative of scikit-learn's `score_samples` with `novelty=True`: about 1 if the row's
/// surroundings are as dense as those of its neighbours, more if they are sparser. A training row finds itself at distance 0.
/// The calibration scores are those of each row among all others, the negative of `negative_outlier_factor_`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LocalOutlierFactor {
    params: LocalOutlierFactorParams,
    index: Index,
    /// For each point of the index, the distance from one of its rows to the farthest neighbour.
    #[serde(with = "crate::le_bytes")]
    k_distances: Vec<f64>,
    /// For each point, the local reachability density of its rows.
    #[serde(with = "crate::le_bytes")]
    densities: Vec<f64>,
}

impl LocalOutlierFactor {
    fn learn(
        params: &LocalOutlierFactorValidParams,
        parts: &[ArrayView2<'_, f64>],
        context: &Context,
    ) -> Result<Learned<Self>> {
        let (index, point_of_row) = Index::learn(parts, context)?;
        let k = index.n_neighbors(params.n_neighbors);
        let mut neighbors = neighbor_lists(index.n_points(), k)?;
        index.leave_one_out(k, k, &mut neighbors, context, |found, list| {
            list[..found.len()].copy_from_slice(found);
        })?;
        let mut model = Self {
            params: params.clone().into(),
            index,
            k_distances: Vec::new(),
            densities: Vec::new(),
        };
        let of_each = |value: &(dyn Fn(&[Neighbor]) -> f64 + Sync)| {
            of_each_list(&neighbors, k, context, value)
        };
        model.k_distances = of_each(&|list| list.last().map_or(0.0, Neighbor::distance))?;
        model.densities = of_each(&|list| model.density(list))?;
        let mut scores = of_each(&|list| model.mean_density(list))?;
        for (score, density) in scores.iter_mut().zip(&model.densities) {
            *score /= density;
        }
        let scores = point_of_row.iter().map(|&i| scores[i as usize]).collect();
        Ok(Learned {
            detector: model,
            calibration_scores: Some(scores),
        })
    }

    /// The local reachability density of a row with these neighbours.
    fn density(&self, found: &[Neighbor]) -> f64 {
        let reach = |it: &Neighbor| it.distance().max(self.k_distances[it.position as usize]);
        1.0 / (mean(found, reach) + LEAST_REACH)
    }

    /// The mean of the densities of these rows.
    fn mean_density(&self, found: &[Neighbor]) -> f64 {
        mean(found, |it| self.densities[it.position as usize])
    }
}

/// Allocates lists of `k` neighbours for `n` points, within the memory limit.
fn neighbor_lists(n: usize, k: usize) -> Result<Vec<Neighbor>> {
    let bytes = n.saturating_mul(k).saturating_mul(size_of::<Neighbor>());
    if bytes > MAX_BYTES {
        let message = format!(
            "{k} neighbours of each of {n} rows take {bytes} bytes, and at most {MAX_BYTES} are allowed; lower n_neighbors or \
             learn from fewer rows"
        );
        return Err(Error::new(reason::INVALID_PARAMETER, message).at("n_neighbors"));
    }
    Ok(vec![Neighbor::default(); n * k])
}

/// Maps each list of `k` neighbours to a value, in parallel. Placeholders at the end of a list are left out.
fn of_each_list(
    neighbors: &[Neighbor],
    k: usize,
    context: &Context,
    value: &(dyn Fn(&[Neighbor]) -> f64 + Sync),
) -> Result<Vec<f64>> {
    let mut values = vec![0.0; neighbors.len() / k];
    let chunks = neighbors.par_chunks(LISTS * k);
    let chunks = chunks.zip(values.par_chunks_mut(LISTS));
    chunks.try_for_each(|(lists, values)| {
        context.check()?;
        for (list, out) in lists.chunks_exact(k).zip(values) {
            *out = value(&list[..list.partition_point(|it| it.copies > 0)]);
        }
        Ok::<_, Error>(())
    })?;
    Ok(values)
}

/// The mean of a value over rows.
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

    fn score_chunk(&self, rows: ArrayView2<'_, f64>, scores: &mut [f64]) {
        assert_eq!(
            rows.dim(),
            (scores.len(), self.n_features()),
            "shape of the rows"
        );
        let k = self.index.n_neighbors(self.params.n_neighbors());
        self.index.nearest(k, rows, |row, found| {
            scores[row] = self.mean_density(found) / self.density(found);
        });
    }

    fn chunk_rows(&self) -> usize {
        chunk_rows(self.params.n_neighbors())
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
            && self.k_distances.iter().all(|it| DISTANCES.contains(it))
            && self.densities.iter().all(|it| DENSITIES.contains(it));
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

    fn params(&self) -> &LocalOutlierFactorParams {
        &self.params
    }
}

#[cfg(test)]
mod tests;
