//! Which rows are in which sample. Each sample is a reservoir of its own and so stays a uniform sample of all rows through all
//! updates (Li, "Reservoir-sampling algorithms of time complexity O(n (1 + log(N / n)))", 1994, algorithm L, which draws how many
//! rows to skip).

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::kernel::LANES;
use super::random::{Stream, stream_state};
use crate::context::Context;
use crate::error::Result;

/// The most rows that are counted, and the number of a row that never comes.
const NEVER: u64 = u64::MAX;

/// How many rows are processed between two checks of the context.
const ROWS_PER_CHECK: usize = 4096;

/// The state of the samples, which all have the same number of places.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Reservoirs {
    /// How many places each sample has.
    capacity: usize,
    /// How many rows have been offered.
    seen: u64,
    /// The random stream of each sample.
    #[serde(with = "crate::le_bytes")]
    streams: Vec<u64>,
    /// For each sample the probability with which the next row is taken: algorithm L's W, the largest of the uniform numbers that
    /// the rows in the sample would have drawn.
    #[serde(with = "crate::le_bytes")]
    thresholds: Vec<f64>,
    /// The next row that each sample takes once all its places are taken, counted from 0 over all rows.
    #[serde(with = "crate::le_bytes")]
    next: Vec<u64>,
}

/// The changes to one sample: for each place its new row, or [`Reservoirs::KEPT`].
pub(super) type Arrivals = Vec<usize>;

impl Reservoirs {
    /// Marks a place that keeps its row.
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

    /// How many it will hold after this many more rows.
    pub(super) fn n_members_after(&self, n_rows: usize) -> usize {
        let seen = self.seen.saturating_add(n_rows as u64);
        seen.min(self.capacity as u64) as usize
    }

    /// Offers `n_rows` more rows to every sample, in parallel on rayon's current pool. For each sample `take` gets its group of
    /// [`LANES`] samples, its index in the group, and its arrivals.
    ///
    /// # Errors
    /// Those of [`Context::check`] and of `take`; the samples must not be used then.
    pub(super) fn offer<G: Send>(
        &mut self,
        n_rows: usize,
        groups: Vec<G>,
        context: &Context,
        take: impl Fn(&mut G, usize, &Arrivals) -> Result<()> + Sync,
    ) -> Result<()> {
        let (capacity, before) = (self.capacity, self.seen);
        let n_members = self.n_members_after(n_rows);
        self.seen = before.saturating_add(n_rows as u64);
        let offer = Offer {
            capacity,
            before,
            after: self.seen,
            n_members,
        };
        self.streams
            .par_chunks_mut(LANES)
            .zip(self.thresholds.par_chunks_mut(LANES))
            .zip(self.next.par_chunks_mut(LANES))
            .zip(groups)
            .try_for_each(|(((streams, thresholds), next), mut group)| {
                let samples = streams.iter_mut().zip(thresholds).zip(next);
                for (lane, ((stream, threshold), next)) in samples.enumerate() {
                    context.check()?;
                    let arrivals = offer.to(stream, threshold, next, context)?;
                    take(&mut group, lane, &arrivals)?;
                }
                Ok(())
            })
    }

    /// The indices of the rows that are in any of the samples after the first `n_rows` rows, in parallel on rayon's current pool.
    ///
    /// # Errors
    /// Those of [`Context::check`].
    pub(super) fn members_of(&mut self, n_rows: usize, context: &Context) -> Result<Vec<usize>> {
        let mut members = vec![Vec::new(); self.streams.len().div_ceil(LANES)];
        let groups = members.iter_mut().collect();
        self.offer(n_rows, groups, context, |members, _, arrivals| {
            members.extend_from_slice(arrivals);
            Ok(())
        })?;
        Ok(members.concat())
    }

    pub(super) fn size_bytes(&self) -> usize {
        3 * 8 * self.streams.len()
    }

    /// Whether a stored state is one of this many samples with this many places.
    pub(super) fn is_sound(&self, n_samples: usize, capacity: usize) -> bool {
        let lengths = [self.streams.len(), self.thresholds.len(), self.next.len()];
        lengths == [n_samples; 3]
            && self.capacity == capacity
            && self.seen >= 2
            && self.thresholds.iter().all(|w| (0.0..=1.0).contains(w))
            && self.next.iter().all(|&next| next >= self.seen)
    }
}

/// Rows that are offered to every sample.
struct Offer {
    capacity: usize,
    /// The number of rows before these, and the number including these.
    before: u64,
    after: u64,
    /// How many rows each sample holds afterwards.
    n_members: usize,
}

impl Offer {
    fn to(
        &self,
        stream: &mut u64,
        threshold: &mut f64,
        next: &mut u64,
        context: &Context,
    ) -> Result<Arrivals> {
        let mut stream = Stream(stream);
        let capacity = self.capacity as u64;
        let mut arrivals = vec![Reservoirs::KEPT; self.n_members];
        let first_free = self.before.min(capacity) as usize;
        for (row, place) in arrivals[first_free..].iter_mut().enumerate() {
            *place = row;
        }
        if self.before < capacity && capacity <= self.after {
            *next = next_taken(capacity, threshold, self.capacity, &mut stream);
        }
        let mut until_check = ROWS_PER_CHECK;
        while capacity <= self.after && *next < self.after {
            until_check -= 1;
            if until_check == 0 {
                context.check()?;
                until_check = ROWS_PER_CHECK;
            }
            arrivals[stream.below(self.capacity)] = (*next - self.before) as usize;
            *next = next_taken(*next + 1, threshold, self.capacity, &mut stream);
        }
        Ok(arrivals)
    }
}

/// Draws the next row to take from `first` on, and updates the threshold.
fn next_taken(first: u64, threshold: &mut f64, capacity: usize, stream: &mut Stream<'_>) -> u64 {
    let shrink = (stream.unit().ln() / capacity as f64).exp();
    *threshold = (*threshold * shrink).clamp(f64::MIN_POSITIVE, 1.0);
    let skipped = stream.unit().ln() / (-*threshold).ln_1p();
    if skipped < NEVER as f64 {
        first.saturating_add(skipped as u64)
    } else {
        NEVER
    }
}

#[cfg(test)]
mod tests;
