//! Fitting a forest: its trees grow in parallel, each on a random stream of its own.

use linfa::DatasetBase;
use linfa::traits::Fit;
use ndarray::{ArrayBase, Data, Ix2};
use rayon::prelude::*;

use super::compact::{self, CompactTrees};
use super::extended::{self, ExtendedTrees};
use super::frame::Frame;
use super::grow::{AxisSplitter, Grower, Layout, Splitter};
use super::path::depth_limit;
use super::perfect::{self, PerfectTrees};
use super::plane::PlaneSplitter;
use super::population::Population;
use super::random::tree_rng;
use super::{IsolationForest, IsolationForestValidParams, Trees};
use crate::context::Context;
use crate::detector::{History, Sample};
use crate::error::{Error, Result};

impl IsolationForestValidParams {
    /// Grows a forest on a population of the new rows and of the `seen` rows that `history` stands for, n x d each. Trees
    /// grow in parallel on rayon's current pool; their number of threads changes nothing.
    ///
    /// Fails where there are fewer than 2 rows or no features, where `max_features` or `ndim` exceeds the number of features,
    /// or where the caller has left.
    pub fn fit_rows(
        &self,
        history: Option<History<'_>>,
        sample: Sample<'_>,
        context: &Context,
    ) -> Result<IsolationForest> {
        let params = self.params();
        let population = Population::new(history.as_ref(), &sample, params)?;
        let fit = ForestFit {
            n_tree_features: self.n_tree_features(population.n_features())?,
            random_state: params.random_state,
            frame: Frame::learn(&population),
            population,
            context,
        };
        let trees = fit.grow(params.n_estimators, params.ndim)?;
        Ok(IsolationForest {
            params: params.clone(),
            n_subsample: fit.population.n_subsample(),
            frame: fit.frame,
            trees,
        })
    }
}

impl<D: Data<Elem = f64>, T> Fit<ArrayBase<D, Ix2>, T, Error> for IsolationForestValidParams {
    type Object = IsolationForest;

    /// Fits without history and without a deadline.
    fn fit(&self, dataset: &DatasetBase<ArrayBase<D, Ix2>, T>) -> Result<IsolationForest> {
        let rows = dataset.records.view();
        let sample = Sample {
            rows,
            observed: rows,
        };
        self.fit_rows(None, sample, &Context::new())
    }
}

/// What all trees of a fit share.
struct ForestFit<'a> {
    population: Population<'a>,
    frame: Frame,
    n_tree_features: usize,
    random_state: u64,
    context: &'a Context,
}

impl ForestFit<'_> {
    fn grow(&self, n_trees: usize, ndim: usize) -> Result<Trees> {
        let depth = depth_limit(self.population.n_subsample());
        if ndim > 1 {
            let mut trees = Vec::new();
            trees.resize_with(n_trees, extended::GrowingTree::default);
            self.grow_each(&mut trees, || PlaneSplitter::new(ndim))?;
            return Ok(Trees::Extended(ExtendedTrees::join(depth, ndim, trees)));
        }
        if depth > perfect::MAX_DEPTH {
            let mut trees = Vec::new();
            trees.resize_with(n_trees, compact::GrowingTree::default);
            self.grow_each(&mut trees, || AxisSplitter)?;
            return Ok(Trees::Compact(CompactTrees::join(depth, trees)));
        }
        let mut trees = PerfectTrees::unsplit(n_trees, depth);
        self.grow_each(&mut trees.growing(), || AxisSplitter)?;
        Ok(Trees::Perfect(trees))
    }

    fn grow_each<S: Splitter>(
        &self,
        trees: &mut [impl Layout<S::Split> + Send],
        splitter: impl Fn() -> S + Sync,
    ) -> Result<()> {
        trees.par_iter_mut().enumerate().try_for_each_init(
            Grower::default,
            |grower, (index, tree)| {
                self.context.check()?;
                let mut rng = tree_rng(self.random_state, self.population.seen(), index);
                grower.grow(
                    &self.population,
                    &self.frame,
                    self.n_tree_features,
                    &mut rng,
                    splitter(),
                    tree,
                );
                Ok(())
            },
        )
    }
}
