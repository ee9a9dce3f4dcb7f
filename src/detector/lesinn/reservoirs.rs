//! Which rows are in which sample: each sample is a reservoir of its own, so that update after update it stays a uniform
//! sample of everything seen (Li, "Reservoir-sampling algorithms of time complexity O(n (1 + log(N / n)))", 1994,
//! algorithm L: it draws how many rows to pass over).

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::random::{Stream, stream_state};
use crate::context::Context;
use crate::error::Result;

/// The most rows seen that are counted, and a row that never comes.
const NEVER: u64 = u64::MAX;

/// How many rows are taken in between two looks at the context.
const PATIENCE: usize = 4096;

/// The state of the samples, each of which has the same number of places.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Reservoirs {
    /// How many places each sample has.
    capacity: usize,
    /// How many rows were seen.
    seen: u64,
    /// The random stream of each sample.
    #[serde(with = "crate::le_bytes")]
    streams: Vec<u64>,
    /// For each sample the largest of `capacity` uniform numbers, given all that were drawn: a row that comes is taken with
    /// this probability.
    #[serde(with = "crate::le_bytes")]
    thresholds: Vec<f64>,
    /// The next row that each sample takes, counted from 0 over all rows ever seen, once all places are taken.
    #[serde(with = "crate::le_bytes")]
    next: Vec<u64>,
}

/// What becomes of one sample: for each place the new row that comes to it, or [`Reservoirs::KEPT`].
pub(super) type Arrivals = Vec<usize>;

impl Reservoirs {
    /// The mark of a place that keeps what it holds.
    pub(super) const KEPT: usize = usize::MAX;

    /// Empty samples.
    pub(super) fn new(n_samples: usize, capacity: usize, random_state: u64) -> Self {
        Self {
            capacity,
            seen: 0,
            streams: (0..n_samples as u64)
                .map(|number| stream_state(random_state, number))
                .collect(),
            thresholds: vec![1.0; n_samples],
            next: vec![capacity as u64; n_samples],
        }
    }

    /// How many rows each sample holds.
    pub(super) fn n_members(&self) -> usize {
        self.seen.min(self.capacity as u64) as usize
    }

    /// Shows `n_rows` more rows to every sample, in parallel on rayon's current pool.
    ///
    /// # Errors
    /// What `context` has to say; the samples must not be used then.
    pub(super) fn offer(&mut self, n_rows: usize, context: &Context) -> Result<Vec<Arrivals>> {
        let (capacity, before) = (self.capacity, self.seen);
        let after = before.saturating_add(n_rows as u64);
        self.seen = after;
        let n_members = self.n_members();
        self.streams
            .par_iter_mut()
            .zip(&mut self.thresholds)
            .zip(&mut self.next)
            .map(|((stream, threshold), next)| {
                let mut stream = Stream(stream);
                let mut arrivals = vec![Self::KEPT; n_members];
                let free = (before.min(capacity as u64) as usize)..n_members;
                for (row, place) in free.enumerate() {
                    arrivals[place] = row;
                }
                if after < capacity as u64 {
                    return Ok(arrivals);
                }
                if before < capacity as u64 {
                    *next = pass_over(capacity as u64, threshold, capacity, &mut stream);
                }
                let mut taken = 0;
                while *next < after {
                    if taken % PATIENCE == 0 {
                        context.check()?;
                    }
                    taken += 1;
                    arrivals[stream.below(capacity)] = (*next - before) as usize;
                    *next = pass_over(next.saturating_add(1), threshold, capacity, &mut stream);
                }
                Ok(arrivals)
            })
            .collect()
    }

    pub(super) fn size_bytes(&self) -> usize {
        3 * 8 * self.streams.len()
    }

    /// Whether it may learn on, as the state of so many samples of so many places.
    pub(super) fn is_sound(&self, n_samples: usize, capacity: usize) -> bool {
        let lengths = [self.streams.len(), self.thresholds.len(), self.next.len()];
        lengths == [n_samples; 3]
            && self.capacity == capacity
            && self.seen >= 2
            && self.thresholds.iter().all(|w| (0.0..=1.0).contains(w))
            && self.next.iter().all(|&next| next >= self.seen)
    }
}

/// The next row to take, from `first` on, with the threshold of the time after it.
fn pass_over(first: u64, threshold: &mut f64, capacity: usize, stream: &mut Stream<'_>) -> u64 {
    let shrink = (stream.unit().ln() / capacity as f64).exp();
    *threshold = (*threshold * shrink).clamp(f64::MIN_POSITIVE, 1.0);
    let passed = stream.unit().ln() / (-*threshold).ln_1p();
    if passed < NEVER as f64 {
        first.saturating_add(passed as u64)
    } else {
        NEVER
    }
}
