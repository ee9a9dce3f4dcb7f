//! Isolation forest (Liu, Ting and Zhou, "Isolation Forest", ICDM 2008), and with `ndim` above 1 the extended isolation
//! forest (Hariri, Carrasco Kind and Brunner, 2018).
//!
//! A tree splits a small random subsample at random until its rows are isolated. Anomalies are isolated early: the score of a
//! row is `2^(-E[h] / c(n))`, where `E[h]` is its average path length over the trees and `c(n)` the average path length in a
//! tree of n rows.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod compact;
mod extended;
mod fit;
mod frame;
mod grow;
mod normal;
mod params;
mod path;
mod perfect;
mod plane;
mod population;
mod walk;

#[cfg(test)]
mod tests;

use linfa::ParamGuard;
use ndarray::{ArrayView2, Axis};
use serde::{Deserialize, Serialize};

pub use params::{IsolationForestParams, IsolationForestValidParams, MaxFeatures, MaxSamples};

use super::{Detector, Learned, Method, PastRows, RowSource, Sample, check_n_features};
use crate::context::Context;
use crate::error::{Error, Result, reason};
use frame::Frame;
use path::average_path_length;

/// How many rows traverse a tree before the next one.
const BLOCK: usize = 128;

/// About how many steps and terms a chunk of rows takes: a few milliseconds.
const CHUNK_STEPS: usize = 1 << 23;

/// Fewer rows than this are scored one by one.
const FEW: usize = 8;

/// A fitted isolation forest. Scores are in (0, 1], the negative of scikit-learn's `score_samples`.
///
/// Deserialising a forest validates it, so that every forest is valid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedForest")]
pub struct IsolationForest {
    params: IsolationForestParams,
    /// How many rows each tree was grown on.
    n_subsample: usize,
    frame: Frame,
    trees: Trees,
}

/// The trees, in a layout that suits their size and splits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Trees {
    Perfect(perfect::PerfectTrees),
    Compact(compact::CompactTrees),
    Extended(extended::ExtendedTrees),
}

/// A deserialised forest before validation.
#[derive(Deserialize)]
struct UncheckedForest {
    params: IsolationForestParams,
    n_subsample: usize,
    frame: Frame,
    trees: Trees,
}

impl TryFrom<UncheckedForest> for IsolationForest {
    type Error = Error;

    fn try_from(read: UncheckedForest) -> Result<Self> {
        let forest = Self {
            params: read.params,
            n_subsample: read.n_subsample,
            frame: read.frame,
            trees: read.trees,
        };
        forest.validate()?;
        Ok(forest)
    }
}

impl Detector for IsolationForest {
    fn n_features(&self) -> usize {
        self.frame.n_features()
    }

    fn score_chunk(&self, rows: ArrayView2<'_, f64>, scores: &mut [f64]) {
        assert_eq!(
            rows.dim(),
            (scores.len(), self.n_features()),
            "a score for each row, of the forest's features"
        );
        let normaliser = self.params.n_estimators() as f64 * average_path_length(self.n_subsample);
        let score = |sum: f64| (-sum / normaliser).exp2();
        let mut values = Vec::new();
        let blocks = rows.axis_chunks_iter(Axis(0), BLOCK);
        for (rows, scores) in blocks.zip(scores.chunks_mut(BLOCK)) {
            if rows.nrows() < FEW {
                values.resize(self.n_features(), 0.0);
                for (row, out) in rows.outer_iter().zip(scores) {
                    self.frame.row(row, &mut values);
                    *out = score(self.trees.sum_row(&values));
                }
            } else {
                values.resize(self.n_features() * BLOCK, 0.0);
                self.frame.block(rows, &mut values);
                scores.fill(0.0);
                self.trees.add_block(&values, scores);
                scores.iter_mut().for_each(|sum| *sum = score(*sum));
            }
        }
    }

    fn validate(&self) -> Result<()> {
        let damaged = |what: &str| {
            Error::new(
                reason::DAMAGED_ARTIFACT,
                format!("damaged isolation forest: {what}"),
            )
        };
        let n_trees = match self.params.check_ref() {
            Ok(params) => params.n_estimators(),
            Err(error) => return Err(damaged(error.message())),
        };
        if self.n_subsample < 2 {
            return Err(damaged("its trees were grown on fewer than 2 rows"));
        }
        let n_features = self.n_features();
        let fault = self.frame.fault().or_else(|| match &self.trees {
            Trees::Perfect(trees) => trees.fault(n_trees, n_features),
            Trees::Compact(trees) => trees.fault(n_trees, n_features),
            Trees::Extended(trees) => trees.fault(n_trees, n_features),
        });
        fault.map_or(Ok(()), |fault| Err(damaged(fault)))
    }

    fn chunk_rows(&self) -> usize {
        let depth = path::depth_limit(self.n_subsample) as usize;
        let steps = self.params.n_estimators() * depth * self.params.ndim();
        (CHUNK_STEPS / steps.max(1)).clamp(FEW, 1024)
    }

    fn size_bytes(&self) -> usize {
        let trees = match &self.trees {
            Trees::Perfect(trees) => trees.size_bytes(),
            Trees::Compact(trees) => trees.size_bytes(),
            Trees::Extended(trees) => trees.size_bytes(),
        };
        size_of::<Self>() + self.frame.size_bytes() + trees
    }
}

impl Method for IsolationForest {
    type Params = IsolationForestParams;

    const NAME: &'static str = "isolation_forest";

    const STREAMS: bool = true;

    fn random_state(params: &IsolationForestParams) -> u64 {
        params.random_state()
    }

    /// Takes one pass over rows that are not held, and holds only those that the trees draw.
    fn fit(
        params: &IsolationForestValidParams,
        rows: &dyn RowSource,
        context: &Context,
    ) -> Result<Learned<Self>> {
        params.fit_source(rows, context).map(Learned::plain)
    }

    /// Grows all trees again, on a population in which `past` stands for all rows seen before.
    fn update(
        &self,
        past: PastRows<'_>,
        sample: Sample<'_>,
        context: &Context,
    ) -> Result<Learned<Self>> {
        check_n_features(sample.rows, self.n_features())?;
        let params = self.params.check_ref()?;
        params
            .fit_rows(Some(past), sample, context)
            .map(Learned::plain)
    }

    fn params(&self) -> &IsolationForestParams {
        &self.params
    }
}

impl Trees {
    fn add_block(&self, block: &[f32], sums: &mut [f64]) {
        match self {
            Self::Perfect(trees) => trees.add_block(block, sums),
            Self::Compact(trees) => trees.add_block(block, sums),
            Self::Extended(trees) => trees.add_block(block, sums),
        }
    }

    fn sum_row(&self, row: &[f32]) -> f64 {
        match self {
            Self::Perfect(trees) => trees.sum_row(row),
            Self::Compact(trees) => trees.sum_row(row),
            Self::Extended(trees) => trees.sum_row(row),
        }
    }
}
