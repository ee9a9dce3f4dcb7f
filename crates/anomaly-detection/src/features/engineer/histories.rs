//! What is remembered of each series when a model is stored: the values that the next rows look back on.

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
    /// Where in `values` each series ends.
    ends: Vec<usize>,
    /// For each series the values of each column, oldest first; NaN where one is missing.
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
    /// Of series in this order, each with the number of its values among `values`.
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

    /// The size in bytes, about.
    pub fn size(&self) -> usize {
        /// The length, the entry of the index and the allocation of a key.
        const PER_SERIES: usize = 96;
        let keys: usize = self.0.keys.iter().map(|key| key.len() + PER_SERIES).sum();
        keys + self.0.values.len() * size_of::<f64>()
    }

    /// Where the series of this name stands.
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

    /// Checks what came from a stored model against its plan.
    ///
    /// # Errors
    /// [`reason::DAMAGED_ARTIFACT`] when there are more series or longer ones than the plan remembers, or infinite values.
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
        let message = "what the stored model remembers of its series contradicts its plan";
        Err(Error::new(reason::DAMAGED_ARTIFACT, message))
    }
}

/// Equal to the bit.
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
        // NaN has many representations, and what is made of stored values must not depend on them
        let one_nan = |value: f64| if value.is_nan() { f64::NAN } else { value };
        let values = stored.values.into_iter().map(one_nan).collect();
        let lengths = stored.lengths.into_iter().map(|length| length as usize);
        let keys = stored.keys.into_iter().map(Arc::from);
        let histories = Self::new(keys.zip(lengths).collect(), values);
        if histories.0.index.len() < histories.len() {
            return Err("a series stands twice".to_owned());
        }
        Ok(histories)
    }
}
