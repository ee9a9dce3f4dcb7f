//! The values that a model remembers of each series, because the features of the next rows look back on them.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Engineer;
use crate::error::{Error, Result, reason};

/// The longest name of a series, in bytes.
pub(super) const MAX_KEY_BYTES: usize = 256;

/// The latest values of each series, from the series whose last row came longest ago to the latest. Cheap to clone.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(into = "Stored", try_from = "Stored")]
pub struct Histories(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    keys: Vec<Arc<str>>,
    index: HashMap<Arc<str>, usize>,
    /// The index in `values` where each series ends.
    ends: Vec<usize>,
    /// For each series the values of each column, oldest first; NaN where a value is missing.
    values: Vec<f64>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    keys: Vec<String>,
    #[serde(with = "crate::le_bytes")]
    lengths: Vec<u32>,
    #[serde(with = "crate::le_bytes")]
    values: Vec<f64>,
}

impl Histories {
    /// The histories of series in this order, each with the number of its values in `values`.
    pub(super) fn new(series: Vec<(Arc<str>, usize)>, values: Vec<f64>) -> Self {
        let mut inner = Inner {
            values,
            ..Inner::default()
        };
        let mut end = 0;
        for (index, (key, length)) in series.into_iter().enumerate() {
            end += length;
            inner.ends.push(end);
            inner.index.insert(Arc::clone(&key), index);
            inner.keys.push(key);
        }
        Self(Arc::new(inner))
    }

    /// The number of series.
    pub fn len(&self) -> usize {
        self.0.keys.len()
    }

    /// Whether there is no series.
    pub fn is_empty(&self) -> bool {
        self.0.keys.is_empty()
    }

    /// The approximate size in memory, in bytes.
    pub fn size(&self) -> usize {
        /// The end, the index entry and the allocation of a key.
        const PER_SERIES: usize = 96;
        let keys: usize = self.0.keys.iter().map(|key| key.len() + PER_SERIES).sum();
        keys + self.0.values.len() * size_of::<f64>()
    }

    /// The index of the series with this name.
    pub(super) fn find(&self, key: &str) -> Option<usize> {
        self.0.index.get(key).copied()
    }

    /// The name of a series.
    pub(super) fn key(&self, index: usize) -> &Arc<str> {
        &self.0.keys[index]
    }

    /// The values of a series, column by column, oldest first.
    pub(super) fn tail(&self, index: usize) -> &[f64] {
        let start = index.checked_sub(1).map_or(0, |before| self.0.ends[before]);
        &self.0.values[start..self.0.ends[index]]
    }

    /// Checks the histories of a stored model against its plan.
    ///
    /// # Errors
    /// [`reason::DAMAGED_ARTIFACT`] for more or longer series than the plan remembers, and for infinite values.
    pub fn validate(&self, engineer: &Engineer) -> Result<()> {
        let layout = engineer.layout();
        let n_columns = layout.n_columns();
        let fits = |index| {
            let length = self.tail(index).len();
            length <= layout.remembered() && length.is_multiple_of(n_columns)
        };
        let remembers = layout.remembered() > 0 || self.is_empty();
        if remembers
            && self.len() <= engineer.max_series()
            && (0..self.len()).all(fits)
            && !self.0.values.iter().any(|value| value.is_infinite())
        {
            return Ok(());
        }
        let message =
            "the histories of the stored model contradict its plan of feature engineering";
        Err(Error::new(reason::DAMAGED_ARTIFACT, message))
    }
}

/// Equality bit for bit, so that NaN equals itself.
impl PartialEq for Histories {
    fn eq(&self, other: &Self) -> bool {
        let bits = |of: &Self| -> Vec<u64> { of.0.values.iter().map(|v| v.to_bits()).collect() };
        self.0.keys == other.0.keys && self.0.ends == other.0.ends && bits(self) == bits(other)
    }
}

impl From<Histories> for Stored {
    fn from(histories: Histories) -> Self {
        let lengths = (0..histories.len()).map(|index| histories.tail(index).len() as u32);
        Self {
            keys: histories.0.keys.iter().map(|key| key.to_string()).collect(),
            lengths: lengths.collect(),
            values: histories.0.values.clone(),
        }
    }
}

impl TryFrom<Stored> for Histories {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        let total: u64 = stored.lengths.iter().map(|&length| u64::from(length)).sum();
        if stored.keys.len() != stored.lengths.len() || total != stored.values.len() as u64 {
            return Err("the lengths of the series do not fit their values".to_owned());
        }
        if let Some(key) = stored.keys.iter().find(|key| key.len() > MAX_KEY_BYTES) {
            return Err(format!("the name of a series has {} bytes", key.len()));
        }
        // NaN has many representations, and nothing may depend on which one is stored
        let one_nan = |value: f64| if value.is_nan() { f64::NAN } else { value };
        let values = stored.values.into_iter().map(one_nan).collect();
        let lengths = stored.lengths.into_iter().map(|length| length as usize);
        let keys = stored.keys.into_iter().map(Arc::from);
        let histories = Self::new(keys.zip(lengths).collect(), values);
        if histories.0.index.len() < histories.len() {
            return Err("a series occurs twice".to_owned());
        }
        Ok(histories)
    }
}
