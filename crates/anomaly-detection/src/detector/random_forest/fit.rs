//! Fitting a forest and replacing some of its trees. Trees grow in parallel, each with its own random stream.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::Axis;
use rayon::prelude::*;

use super::bag::{Draw, OutOfBag};
use super::bins::Bins;
use super::cuts::Cuts;
use super::grow::{Grower, Growth};
use super::join::{Source, join};
use super::params::MAX_DEPTH;
use super::rows::Rows;
use super::split::Rule;
use super::tree::Tree;
use super::{RandomForest, RandomForestValidParams};
use crate::context::{Context, Unit};
use crate::detector::method::linfa_fit;
use crate::detector::{Detector, Learned, PastRows, Sample, check_n_features};
use crate::error::Result;

/// The most bytes of memory of all threads together that grow trees.
const MAX_BYTES: usize = 1 << 30;

impl RandomForestValidParams {
    /// Grows a forest on the rows of the sample and their labels.
    ///
    /// # Errors
    /// [`reason::UNUSABLE_ROWS`](crate::error::reason::UNUSABLE_ROWS) without labels, without rows of both classes, and for too
    /// many columns or values; [`reason::INVALID_PARAMETER`](crate::error::reason::INVALID_PARAMETER) if `max_features` exceeds
    /// the number of columns, and for trees that would take too much memory; and those of [`Context::check`].
    pub fn fit_rows(&self, sample: Sample<'_>, context: &Context) -> Result<Learned<RandomForest>> {
        let rows = Rows::new(None, sample)?;
        let numbers: Vec<usize> = (0..self.n_estimators()).collect();
        let grown = self.grow(&rows, &numbers, &Cuts::default(), context)?;
        let sources: Vec<Source<'_>> = grown.trees.iter().map(Source::Grown).collect();
        let detector = RandomForest {
            params: self.clone().into(),
            n_features: rows.n_features(),
            oldest: 0,
            forest: join(&Cuts::default(), &grown.cuts, &sources, context)?,
        };
        let scores = detector.calibrate(&rows, &grown.out_of_bag, context)?;
        Ok(Learned {
            detector,
            calibration_scores: Some(scores),
        })
    }

    fn grow(
        &self,
        rows: &Rows<'_>,
        numbers: &[usize],
        model: &Cuts,
        context: &Context,
    ) -> Result<Grown> {
        let n_split_features = self.n_split_features(rows.n_features())?;
        let bins = Bins::learn(rows, model, context)?;
        let growth = Growth {
            bins: &bins,
            labels: &rows.labels,
            n_features: rows.n_features(),
            draw: Draw::new(
                &rows.labels[..rows.past.nrows()],
                rows.weights,
                rows.sample.nrows(),
            ),
            rule: Rule {
                n_features: n_split_features,
                min_rows: self.min_samples_leaf(),
                weights: rows.class_weights(self.class_weight()),
            },
            max_depth: self.max_depth().unwrap_or(MAX_DEPTH).min(MAX_DEPTH),
            random_state: self.random_state(),
            seen: rows.seen,
            out_of_bag: OutOfBag::new(rows.n_rows()),
            n_nodes: AtomicUsize::new(0),
            context,
        };
        let trees = grow_all(&growth, numbers)?;
        let out_of_bag = growth.out_of_bag.sums().collect();
        Ok(Grown {
            trees,
            cuts: bins.cuts,
            out_of_bag,
        })
    }
}

linfa_fit!(RandomForestValidParams => RandomForest, supervised);

/// New trees, their thresholds, and the sum and number of each row's out-of-bag scores.
struct Grown {
    trees: Vec<Tree>,
    cuts: Cuts,
    out_of_bag: Vec<(f64, u64)>,
}

/// Grows the trees with these numbers, as many in parallel as memory allows.
fn grow_all(growth: &Growth<'_>, numbers: &[usize]) -> Result<Vec<Tree>> {
    let n_affordable = MAX_BYTES / Grower::bytes(growth.labels.len()).max(1);
    let n_growers = rayon::current_num_threads()
        .min(n_affordable)
        .clamp(1, numbers.len().max(1));
    let step = growth.context.step(Unit::Parts, numbers.len());
    let next = AtomicUsize::new(0);
    let trees: Mutex<Vec<(usize, Tree)>> = Mutex::new(Vec::with_capacity(numbers.len()));
    (0..n_growers)
        .into_par_iter()
        .try_for_each(|_| -> Result<()> {
            let mut grower = Grower::default();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(&number) = numbers.get(index) else {
                    return Ok(());
                };
                let tree = grower.grow(growth, number)?;
                step.advance(1);
                let mut trees = trees.lock().unwrap_or_else(|poison| poison.into_inner());
                trees.push((index, tree));
            }
        })?;
    let mut trees = trees
        .into_inner()
        .unwrap_or_else(|poison| poison.into_inner());
    trees.sort_unstable_by_key(|(index, _)| *index);
    Ok(trees.into_iter().map(|(_, tree)| tree).collect())
}

impl RandomForest {
    /// Replaces the oldest trees with new ones. Their share is that of the sample among all rows seen, rounded up.
    pub(super) fn replace(
        &self,
        params: &RandomForestValidParams,
        past: PastRows<'_>,
        sample: Sample<'_>,
        context: &Context,
    ) -> Result<Learned<Self>> {
        check_n_features(sample.rows, self.n_features)?;
        check_n_features(past.rows, self.n_features)?;
        // views are invariant in their lifetime, so both are reborrowed for a common one
        let past = PastRows {
            rows: past.rows.view(),
            ..past
        };
        let sample = Sample {
            rows: sample.rows.view(),
            observed: sample.observed.view(),
            ..sample
        };
        let rows = Rows::new(Some(past), sample)?;
        let n_trees = self.params.n_estimators();
        let n_new = n_replaced(n_trees, rows.seen, rows.sample.nrows());
        let numbers: Vec<usize> = (0..n_new).map(|i| (self.oldest + i) % n_trees).collect();
        let grown = params.grow(&rows, &numbers, &self.forest.cuts, context)?;
        let mut renewed: Vec<Option<&Tree>> = vec![None; n_trees];
        for (&number, tree) in numbers.iter().zip(&grown.trees) {
            renewed[number] = Some(tree);
        }
        let all: Vec<Source<'_>> = renewed
            .iter()
            .enumerate()
            .map(|(number, grown)| match grown {
                Some(tree) => Source::Grown(tree),
                None => Source::Kept(self.forest.trees.tree(number)),
            })
            .collect();
        let is_kept = |source: &&Source<'_>| matches!(source, Source::Kept(_));
        let kept: Vec<Source<'_>> = all.iter().filter(is_kept).copied().collect();
        let detector = Self {
            params: self.params.clone(),
            n_features: self.n_features,
            oldest: (self.oldest + n_new) % n_trees,
            forest: join(&self.forest.cuts, &grown.cuts, &all, context)?,
        };
        // no kept tree has learned from the sample, so all of them count as out of bag
        let kept_forest = join(&self.forest.cuts, &Cuts::default(), &kept, context)?;
        let mut out_of_bag = grown.out_of_bag;
        let sums = kept_forest.sums(rows.sample, context)?;
        let of_sample = out_of_bag.iter_mut().skip(rows.past.nrows());
        for ((sum, n), kept_sum) in of_sample.zip(sums) {
            *sum += kept_sum;
            *n += kept.len() as u64;
        }
        let scores = detector.calibrate(&rows, &out_of_bag, context)?;
        Ok(Learned {
            detector,
            calibration_scores: Some(scores),
        })
    }

    /// The mean out-of-bag score of each row, or its ordinary score if it is in every bag.
    fn calibrate(
        &self,
        rows: &Rows<'_>,
        out_of_bag: &[(f64, u64)],
        context: &Context,
    ) -> Result<Vec<f64>> {
        let n_past = rows.past.nrows();
        let mut scores = Vec::with_capacity(rows.n_rows());
        for (index, &(sum, n)) in out_of_bag.iter().enumerate() {
            if n > 0 {
                scores.push((sum / n as f64).min(1.0));
                continue;
            }
            context.check()?;
            let row = match index.checked_sub(n_past) {
                None => rows.past.row(index),
                Some(index) => rows.sample.row(index),
            };
            let mut score = [0.0];
            self.score_chunk(row.insert_axis(Axis(0)), &mut score);
            scores.extend(score);
        }
        Ok(scores)
    }
}

/// How many trees a sample replaces: their share is that of the sample among all rows seen, rounded up, and at least one tree.
fn n_replaced(n_trees: usize, seen: u64, n_new: usize) -> usize {
    let all = u128::from(seen) + n_new as u128;
    let replaced = (n_trees as u128 * n_new as u128).div_ceil(all.max(1));
    (replaced as usize).clamp(1, n_trees)
}
