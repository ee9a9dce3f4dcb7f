//! Builds engineered features row by row.

use std::collections::HashMap;
use std::sync::Arc;

use super::Engineer;
use super::histories::{Histories, MAX_KEY_BYTES};
use super::layout::Layout;
use super::recency::Recency;
use super::series::{Series, carried_size};
use crate::error::{Error, Result, reason};
use crate::table::shortened;

/// The most bytes of rolling moments that all series together carry from row to row.
const MAX_CARRIED: usize = 32 << 20;

/// Engineers the features of rows that come one after another, continuing from the histories of a model. These [`Histories`] do
/// not change: only series that get rows are copied.
///
/// A row of an unknown series starts that series. If there would be more than [`Engineer::max_series`], the series whose last row
/// came longest ago is forgotten.
#[derive(Debug, Clone)]
pub struct Builder {
    pub(super) layout: Layout,
    max_series: usize,
    base: Histories,
    /// Every series of `base` before this index either has a slot or is forgotten.
    passed: usize,
    /// How many series of `base` neither have a slot nor are forgotten.
    n_untouched: usize,
    pub(super) slots: Vec<Slot>,
    slot_of: HashMap<Arc<str>, usize>,
    recency: Recency,
    n_carrying: usize,
    max_carrying: usize,
    has_forgotten_latest: bool,
}

/// A series that has got rows.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    key: Arc<str>,
    pub(super) series: Series,
}

impl Builder {
    /// A builder that continues from `histories`, which must be valid for this plan ([`Histories::validate`]) and are empty at
    /// first.
    pub fn new(engineer: &Engineer, histories: Histories) -> Self {
        let layout = engineer.layout();
        Self {
            max_series: engineer.max_series(),
            n_untouched: histories.len(),
            base: histories,
            passed: 0,
            slots: Vec::new(),
            slot_of: HashMap::new(),
            recency: Recency::default(),
            n_carrying: 0,
            has_forgotten_latest: false,
            max_carrying: (MAX_CARRIED / carried_size(&layout).max(1)).max(1),
            layout,
        }
    }

    /// Adds the next row and writes its engineered features. `series` is empty if rows have no series, `values` are those of the
    /// plan's columns, `time` is in nanoseconds since 1970, and `out` has room for [`Engineer::n_features`] values.
    ///
    /// Values that are not finite count as missing but keep their place in lags and windows. Means need at least one value that
    /// is present, standard deviations two. A feature is NaN if it looks back beyond the first row, has too few values, or
    /// leaves the range of f64. Z-scores are clamped to 100 standard deviations either way, so that they are finite for a
    /// constant window; a value that equals all of that window has the z-score 0.
    ///
    /// # Errors
    /// [`reason::INVALID_RECORDS`] for a series name of more than 256 bytes. The row is not added then.
    pub fn push(
        &mut self,
        series: &str,
        values: &[f64],
        time: Option<i64>,
        out: &mut [f64],
    ) -> Result<()> {
        if values.len() != self.layout.n_columns() || out.len() != self.layout.width() {
            return Err(misfit());
        }
        check_key(series)?;
        self.layout.write_time(time, out);
        if self.layout.depth() > 0 {
            let slot = self.slot(series);
            self.step(slot, values.iter().copied(), out);
        }
        Ok(())
    }

    /// The histories after the rows so far, for a model to remember.
    pub fn into_histories(self) -> Histories {
        if self.slots.is_empty() {
            return self.base;
        }
        let mut series = Vec::with_capacity(self.n_series());
        let mut values = Vec::new();
        for index in (self.passed..self.base.len()).filter(|&index| !self.is_touched(index)) {
            let tail = self.base.tail(index);
            series.push((Arc::clone(self.base.key(index)), tail.len()));
            values.extend_from_slice(tail);
        }
        for slot in self.recency.oldest_first() {
            let slot = &self.slots[slot];
            let rows = slot.series.put_tail(&self.layout, &mut values);
            series.push((Arc::clone(&slot.key), rows * self.layout.n_columns()));
        }
        Histories::new(series, values)
    }

    /// Whether this builder has forgotten a series that had got rows from it.
    pub fn has_forgotten_latest(&self) -> bool {
        self.has_forgotten_latest
    }

    /// The same builder, with a lower limit.
    #[cfg(test)]
    pub(super) fn with_max_series(mut self, max_series: usize) -> Self {
        self.max_series = max_series;
        self
    }

    /// The number of series that are remembered.
    pub(super) fn n_series(&self) -> usize {
        self.n_untouched + self.slot_of.len()
    }

    pub(super) fn max_series(&self) -> usize {
        self.max_series
    }

    /// Whether a series is remembered.
    pub(super) fn knows(&self, key: &str) -> bool {
        self.slot_of.contains_key(key) || self.untouched(key).is_some()
    }

    /// The index in `base` of a series that neither has a slot nor is forgotten.
    fn untouched(&self, key: &str) -> Option<usize> {
        let index = self.base.find(key)?;
        (index >= self.passed && !self.slot_of.contains_key(key)).then_some(index)
    }

    fn is_touched(&self, index: usize) -> bool {
        self.slot_of.contains_key(self.base.key(index))
    }

    /// The slot of a series, which becomes the most recent one.
    pub(super) fn slot(&mut self, key: &str) -> usize {
        let slot = match self.slot_of.get(key) {
            Some(&slot) => slot,
            None => self.new_slot(key),
        };
        self.recency.touch(slot);
        slot
    }

    /// Makes a slot the most recent one.
    pub(super) fn touch(&mut self, slot: usize) {
        self.recency.touch(slot);
    }

    fn new_slot(&mut self, key: &str) -> usize {
        let mut free = None;
        let (key, series) = match self.untouched(key) {
            Some(index) => {
                self.n_untouched -= 1;
                let series = Series::with_tail(&self.layout, self.base.tail(index));
                (Arc::clone(self.base.key(index)), series)
            }
            None => {
                if self.n_series() >= self.max_series {
                    free = self.forget_oldest();
                }
                (Arc::from(key), Series::with_tail(&self.layout, &[]))
            }
        };
        let slot = free.unwrap_or(self.slots.len());
        self.slot_of.insert(Arc::clone(&key), slot);
        let new = Slot { key, series };
        match self.slots.get_mut(slot) {
            Some(old) => {
                self.n_carrying -= usize::from(old.series.is_carrying());
                *old = new;
            }
            None => self.slots.push(new),
        }
        slot
    }

    /// Forgets the series whose last row came longest ago, and returns its slot if it has one. Series that have not got a row
    /// from this builder come first.
    fn forget_oldest(&mut self) -> Option<usize> {
        while self.passed < self.base.len() {
            let touched = self.is_touched(self.passed);
            self.passed += 1;
            if !touched {
                self.n_untouched -= 1;
                return None;
            }
        }
        let slot = self.recency.take_oldest()?;
        self.has_forgotten_latest = true;
        self.slot_of.remove(&self.slots[slot].key);
        Some(slot)
    }

    /// Adds the next row of a slot and writes its features, except those of its time.
    pub(super) fn step(
        &mut self,
        slot: usize,
        values: impl IntoIterator<Item = f64>,
        out: &mut [f64],
    ) {
        let series = &mut self.slots[slot].series;
        let carried_before = series.is_carrying();
        series.step(&self.layout, values, out);
        self.n_carrying += usize::from(series.is_carrying()) - usize::from(carried_before);
        if self.n_carrying > self.max_carrying {
            for slot in &mut self.slots {
                slot.series.drop_carried();
            }
            self.n_carrying = 0;
        }
    }

    /// How many series may carry rolling moments.
    pub(super) fn max_carrying(&self) -> usize {
        self.max_carrying
    }

    /// Counts the series that carry rolling moments.
    pub(super) fn count_carrying(&mut self) {
        let carrying = self.slots.iter().filter(|slot| slot.series.is_carrying());
        self.n_carrying = carrying.count();
    }
}

/// Checks the name of a series.
pub(super) fn check_key(key: &str) -> Result<()> {
    if key.len() <= MAX_KEY_BYTES {
        return Ok(());
    }
    let message = format!(
        "the name of the series {} has {} bytes; it must have at most {MAX_KEY_BYTES}",
        shortened(key),
        key.len()
    );
    Err(Error::new(reason::INVALID_RECORDS, message).at("records"))
}

pub(super) fn misfit() -> Error {
    let message = "the rows do not have the columns of the plan of feature engineering";
    Error::new(reason::INTERNAL, message)
}
