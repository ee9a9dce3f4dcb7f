//! Fitting a forest. Trees grow in parallel, each with its own random stream.

use rayon::prelude::*;

use super::compact::{self, CompactTrees};
use super::extended::{self, ExtendedTrees};
use super::frame::{Frame, spaced_rows};
use super::grow::{AxisSplitter, Grower, Layout, Splitter};
use super::path::depth_limit;
use super::perfect::{self, PerfectTrees};
use super::plane::PlaneSplitter;
use super::population::{Marks, Population};
use super::{IsolationForest, IsolationForestValidParams, Trees};
use crate::context::{Context, Unit};
use crate::detector::method::linfa_fit;
use crate::detector::random::tree_rng;
use crate::detector::source::{ChosenRows, NeededRows, Rows};
use crate::detector::{PastRows, RowSource, Sample};
use crate::error::{Error, Result, reason};

/// The largest size of a forest in bytes, since few parameters can ask for a huge forest.
const MAX_BYTES: u64 = 1 << 30;

impl IsolationForestValidParams {
    /// Grows a forest on a population of the new rows and of the `seen` rows that `past` stands for, n x d each. Trees
    /// grow in parallel on rayon's current pool; the number of threads has no influence.
    ///
    /// Fails if there are fewer than 2 rows or no features, if `max_features` or `ndim` exceeds the number of features, if the
    /// trees could take more than 1 GiB, or if `context` is cancelled.
    pub fn fit_rows(
        &self,
        past: Option<PastRows<'_>>,
        sample: Sample<'_>,
        context: &Context,
    ) -> Result<IsolationForest> {
        self.grow(past.as_ref(), sample.rows.into(), context)
    }

    /// Grows a forest on a source of rows. Each tree reads only the rows that it draws.
    pub(super) fn fit_source(
        &self,
        source: &dyn RowSource,
        context: &Context,
    ) -> Result<IsolationForest> {
        let rows = NeededRows::of(source, || self.draw(source, context), context)?;
        self.grow(None, rows.rows(), context)
    }

    /// The indices of the rows that a fit reads, in ascending order.
    fn draw(&self, source: &dyn RowSource, context: &Context) -> Result<Vec<usize>> {
        let (n, d) = (source.n_rows(), source.n_features());
        let params = self;
        let unknown = ChosenRows::none(n, d);
        let population = Population::new(None, Rows::Chosen(&unknown), params)?;
        self.n_tree_features(d)?;
        check_size(params, population.n_subsample())?;
        ChosenRows::check_size(population.n_subsample(), d)?;
        let mut drawn = Marks::default();
        drawn.resize(n);
        let mut n_drawn = spaced_rows(n).filter(|&row| drawn.insert(row)).count();
        let (mut marks, mut positions) = (Marks::default(), Vec::new());
        for index in 0..params.n_estimators() {
            context.check()?;
            let mut rng = tree_rng(params.random_state(), population.seen(), index);
            population.draw(&mut rng, &mut marks, &mut positions);
            n_drawn += positions.iter().filter(|&&row| drawn.insert(row)).count();
            ChosenRows::check_size(n_drawn, d)?;
        }
        let mut rows = Vec::with_capacity(n_drawn);
        rows.extend((0..n).filter(|&row| drawn.contains(row)));
        Ok(rows)
    }

    fn grow(
        &self,
        past: Option<&PastRows<'_>>,
        new: Rows<'_>,
        context: &Context,
    ) -> Result<IsolationForest> {
        let params = self;
        let population = Population::new(past, new.view(), params)?;
        let n_tree_features = self.n_tree_features(population.n_features())?;
        check_size(params, population.n_subsample())?;
        let fit = ForestFit {
            n_tree_features,
            random_state: params.random_state(),
            frame: Frame::learn(&population),
            population,
            context,
        };
        let trees = fit.grow(params.n_estimators(), params.ndim())?;
        Ok(IsolationForest {
            params: self.clone().into(),
            n_subsample: fit.population.n_subsample(),
            frame: fit.frame,
            trees,
        })
    }
}

/// Fails if trees of this many rows could take more than [`MAX_BYTES`]. To be called before allocating.
fn check_size(params: &IsolationForestValidParams, n_subsample: usize) -> Result<()> {
    const NODE_BYTES: u64 = 16;
    const TERM_BYTES: u64 = 8;
    let n_branches = n_subsample as u64;
    let terms = match params.ndim() as u64 {
        1 => 0,
        ndim => n_branches.saturating_mul(ndim).saturating_mul(TERM_BYTES),
    };
    let tree = (2 * NODE_BYTES)
        .saturating_mul(n_branches)
        .saturating_add(terms);
    let bytes = tree.saturating_mul(params.n_estimators() as u64);
    if bytes <= MAX_BYTES {
        return Ok(());
    }
    let message = format!(
        "{} trees of {n_subsample} rows with ndim {} may take {bytes} bytes, and at most {MAX_BYTES} are allowed; lower \
         n_estimators, max_samples or ndim",
        params.n_estimators(),
        params.ndim()
    );
    Err(Error::new(reason::INVALID_PARAMETER, message).at("n_estimators"))
}

linfa_fit!(IsolationForestValidParams => IsolationForest);

/// The data that all trees of a fit share.
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
        PerfectTrees::grow(n_trees, depth, |trees| {
            self.grow_each(trees, || AxisSplitter)
        })
        .map(Trees::Perfect)
    }

    fn grow_each<S: Splitter>(
        &self,
        trees: &mut [impl Layout<S::Split> + Send],
        splitter: impl Fn() -> S + Sync,
    ) -> Result<()> {
        let step = self.context.step(Unit::Parts, trees.len());
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
                step.advance(1);
                Ok(())
            },
        )
    }
}
