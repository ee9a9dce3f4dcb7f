//! How rare a score is: the empirical distribution of scores with a fitted tail. It is stored as log survival, so that scores
//! above the largest known one are still told apart.
//!
//! Up to the ten largest scores the distribution is empirical: knots between which the log survival is linear, with tied
//! scores in the middle of their step. Above, it is a generalised Pareto distribution, fitted to the largest scores by
//! probability-weighted moments (Hosking and Wallis, "Parameter and quantile estimation for the generalized Pareto
//! distribution", 1987, section 3). Its shape is at least 0, so that no score is impossible. Below the smallest score the
//! probability decays exponentially.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, reason};

/// The share of the scores that the tail is fitted to.
const TAIL_SHARE: f64 = 0.05;

/// The fewest scores that the tail is fitted to, unless there are fewer in all.
const FEWEST_IN_TAIL: f64 = 20.0;

/// How many scores lie above the last knot.
const FEWEST_ABOVE: f64 = 10.0;

/// The largest distance between knots in probability, unless a single step is larger.
const STEP: f64 = 1.0 / 512.0;

/// The largest distance between knots in log survival, unless a single step is larger.
const LOG_STEP: f64 = 1.0 / 64.0;

/// The most knots: the first, one for each [`STEP`] from probability 0 to 1, and one for each [`LOG_STEP`] down to the log
/// survival of one in 1e18 scores.
const MAX_KNOTS: usize = 4096;

/// The shape of the heaviest tail; from 1 on the mean would be infinite.
const MAX_SHAPE: f64 = 0.95;

/// A shape below this counts as 0, an exponential tail.
const MIN_SHAPE: f64 = 1e-6;

/// The distribution of scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TailRank {
    /// Ascending scores, at least one.
    scores: Vec<f64>,
    /// The surprisal at each of the scores: above 0, ascending.
    surprisals: Vec<f64>,
    /// The distance below the first knot over which the probability falls by a factor of e.
    lower_scale: f64,
    /// The shape of the tail above the last knot, 0 to [`MAX_SHAPE`].
    shape: f64,
    /// The scale of the tail above the last knot.
    scale: f64,
}

/// All scores of one value, with their weight and the weight of the scores above them.
struct Step {
    score: f64,
    weight: f64,
    above: f64,
}

impl TailRank {
    /// Learns the distribution of finite scores. `weights` says how many scores each of them stands for, 1 each when `None`.
    /// Neither the order of the scores nor a factor common to all weights matters. The result has at most a few thousand
    /// numbers, however many scores there are.
    ///
    /// # Errors
    /// [`reason::UNUSABLE_ROWS`] when there is no score, when one is not finite, or unless there are as many weights as scores,
    /// all finite and at least 0, and one above 0.
    pub fn fit(scores: &[f64], weights: Option<&[f64]>) -> Result<Self> {
        let pairs = sorted(scores, weights)?;
        let (total, squares) = pairs.iter().fold((0.0, 0.0), |(sum, squares), (_, w)| {
            (sum + w, squares + w * w)
        });
        // Kish's effective number of scores
        let count = (total * total / squares).max(1.0);
        let steps = steps(&pairs);
        let survival = |step: &Step| (step.above + 0.5 * step.weight) / total;
        let last_with = |n: f64| {
            let share = n / count;
            steps
                .iter()
                .rposition(|step| survival(step) >= share)
                .unwrap_or(0)
        };

        let last = last_with(FEWEST_ABOVE);
        let start = last_with(FEWEST_IN_TAIL.max(TAIL_SHARE * count)).min(last);
        let mut knots: Vec<(f64, f64)> = Vec::new();
        for (index, step) in steps[..=last].iter().enumerate() {
            let (survival, surprisal) = (survival(step), -survival(step).ln());
            let far = knots.last().is_none_or(|&(_, before)| {
                surprisal - before >= LOG_STEP || (-before).exp() - survival >= STEP
            });
            if far || index == last {
                knots.push((step.score, surprisal));
            }
        }
        let (first, anchor) = (knots[0].0, steps[last].score);
        let largest = steps.last().map_or(anchor, |step| step.score);
        let (shape, scale) = tail(&steps[start..], largest);
        let scale = scale_above(scale, shape, distance(steps[start].score, anchor));
        let middle = steps[last_with(0.5 * count)].score;
        let (scores, surprisals) = knots.into_iter().unzip();
        Ok(Self {
            scores,
            surprisals,
            lower_scale: usable_scale(distance(first, middle), first),
            shape,
            scale: usable_scale(scale, anchor),
        })
    }

    /// The surprisal `-ln P(S >= score)` of a score that is not NaN. It is finite, at least 0, and rises with the score without
    /// an upper bound.
    pub fn surprisal(&self, score: f64) -> f64 {
        let above = self.scores.partition_point(|&knot| knot <= score);
        let last = self.scores.len() - 1;
        if above == 0 {
            let probability = -(-self.surprisals[0]).exp_m1();
            let decay = (-distance(score, self.scores[0]) / self.lower_scale).exp();
            return (-(-probability * decay).ln_1p()).min(self.surprisals[0]);
        }
        let (knot, surprisal) = (self.scores[above - 1], self.surprisals[above - 1]);
        if above > last {
            let excess = (distance(knot, score) / self.scale).min(f64::MAX);
            let further = if self.shape < MIN_SHAPE {
                excess
            } else {
                (self.shape * excess).ln_1p() / self.shape
            };
            return (surprisal + further).min(f64::MAX);
        }
        let width = self.scores[above] - knot;
        let share = if width.is_finite() {
            (score - knot) / width
        } else {
            (0.5 * score - 0.5 * knot) / (0.5 * self.scores[above] - 0.5 * knot)
        };
        surprisal + share.min(1.0) * (self.surprisals[above] - surprisal)
    }

    /// The probability of a smaller score, 0 to 1; from a surprisal of about 37 on it rounds to 1.
    pub fn probability(&self, score: f64) -> f64 {
        -(-self.surprisal(score)).exp_m1()
    }

    /// Its size in memory, in bytes.
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>() + 2 * size_of::<f64>() * self.scores.len()
    }

    /// Checks a distribution that was read from outside.
    ///
    /// # Errors
    /// [`reason::DAMAGED_ARTIFACT`] when it cannot be one.
    pub fn validate(&self) -> Result<()> {
        let ascends = |values: &[f64]| {
            values.iter().all(|x| x.is_finite()) && values.is_sorted_by(|a, b| a < b)
        };
        let is_scale = |x: f64| x.is_finite() && x > 0.0;
        let sound = (1..=MAX_KNOTS).contains(&self.scores.len())
            && self.surprisals.len() == self.scores.len()
            && ascends(&self.scores)
            && ascends(&self.surprisals)
            && self.surprisals[0] > 0.0
            && is_scale(self.lower_scale)
            && is_scale(self.scale)
            && (0.0..=MAX_SHAPE).contains(&self.shape);
        if sound {
            return Ok(());
        }
        let message = "the stored distribution of scores contradicts itself";
        Err(Error::new(reason::DAMAGED_ARTIFACT, message))
    }
}

/// The scores of a weight above 0 in ascending order, with weights scaled so that the largest is 1.
fn sorted(scores: &[f64], weights: Option<&[f64]>) -> Result<Vec<(f64, f64)>> {
    let unusable = |message: String| Err(Error::new(reason::UNUSABLE_ROWS, message));
    if let Some(at) = scores.iter().position(|score| !score.is_finite()) {
        return unusable(format!(
            "the score of row {at} is {}; it must be finite",
            scores[at]
        ));
    }
    let mut pairs: Vec<(f64, f64)> = match weights {
        None => scores.iter().map(|&score| (score, 1.0)).collect(),
        Some(weights) => {
            let right = |w: &f64| w.is_finite() && *w >= 0.0;
            if weights.len() != scores.len() || !weights.iter().all(right) {
                return unusable(format!(
                    "{} scores need as many weights, each finite and at least 0",
                    scores.len()
                ));
            }
            let largest = weights.iter().copied().fold(0.0, f64::max);
            let relative = weights.iter().map(|w| w / largest);
            scores
                .iter()
                .copied()
                .zip(relative)
                .filter(|&(_, w)| w > 0.0)
                .collect()
        }
    };
    if pairs.is_empty() {
        return unusable("there is no score to learn a distribution from".to_owned());
    }
    pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    Ok(pairs)
}

/// The steps of the empirical distribution, from sorted scores with their weights.
fn steps(pairs: &[(f64, f64)]) -> Vec<Step> {
    let mut steps: Vec<Step> = pairs
        .chunk_by(|a, b| a.0 == b.0)
        .map(|equal| Step {
            score: equal[0].0,
            weight: equal.iter().map(|(_, weight)| weight).sum(),
            above: 0.0,
        })
        .collect();
    let mut above = 0.0;
    for step in steps.iter_mut().rev() {
        step.above = above;
        above += step.weight;
    }
    steps
}

/// The shape and the scale of the tail above the first of the steps; the scale is 0 if there is nothing above it.
fn tail(steps: &[Step], largest: f64) -> (f64, f64) {
    let (start, total) = (steps[0].score, steps[0].above);
    let range = distance(start, largest);
    if total <= 0.0 || range <= 0.0 {
        return (0.0, 0.0);
    }
    let (mut mean, mut moment) = (0.0, 0.0);
    for step in &steps[1..] {
        let excess = (distance(start, step.score) / range) * (step.weight / total);
        mean += excess;
        moment += excess * (step.above + 0.5 * step.weight) / total;
    }
    // an exponential tail has moment = mean / 4, and a heavier one less
    let shape = (2.0 - mean / (mean - 2.0 * moment)).clamp(0.0, MAX_SHAPE);
    let shape = if shape.is_nan() { 0.0 } else { shape };
    (shape, mean * (1.0 - shape) * range)
}

/// The scale of a generalised Pareto tail that starts at a threshold higher by `rise`.
fn scale_above(scale: f64, shape: f64, rise: f64) -> f64 {
    (scale + shape * rise).min(f64::MAX)
}

/// A scale that can be divided by: one that is negligible beside the score is replaced by the size of the score.
fn usable_scale(scale: f64, score: f64) -> f64 {
    let scale = scale.min(f64::MAX);
    if scale > f64::EPSILON * score.abs() && scale >= f64::MIN_POSITIVE {
        scale
    } else if score.abs() >= f64::MIN_POSITIVE {
        score.abs()
    } else {
        1.0
    }
}

/// `high - low`, or the largest double where that would overflow.
fn distance(low: f64, high: f64) -> f64 {
    (high - low).min(f64::MAX)
}

#[cfg(test)]
mod tests;
