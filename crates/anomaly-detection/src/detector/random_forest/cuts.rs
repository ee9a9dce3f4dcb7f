//! The thresholds of a forest: for each feature an ascending list, in the unit of the feature and in double precision.
//!
//! A node refers to a threshold by its index in the list. The code of a value is the number of thresholds below it, so that a
//! value exceeds a threshold exactly when its code exceeds the threshold's index. Trees can therefore compare small integers
//! without losing precision.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::le_bytes;
use crate::statistics::rank_summary::count_leading;

/// The most thresholds of one feature, so that codes fit into 16 bits.
pub(super) const MAX_CUTS: usize = u16::MAX as usize;

/// The most features, so that slots fit into 16 bits.
pub(super) const MAX_FEATURES: usize = 1 << 16;

/// The thresholds of the features that have any; the index of a feature among these is its slot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Cuts {
    /// The feature of each slot, ascending.
    #[serde(with = "le_bytes")]
    features: Vec<u32>,
    /// The index in `values` where the thresholds of each slot end.
    #[serde(with = "le_bytes")]
    ends: Vec<u64>,
    /// The thresholds, slot after slot, each slot's ascending.
    #[serde(with = "le_bytes")]
    values: Vec<f64>,
}

impl Cuts {
    /// Appends a slot for a feature, which comes after those before, with ascending thresholds.
    pub(super) fn push(&mut self, feature: u32, cuts: &[f64]) {
        self.features.push(feature);
        self.values.extend_from_slice(cuts);
        self.ends.push(self.values.len() as u64);
    }

    /// The number of slots.
    pub(super) fn n_slots(&self) -> usize {
        self.features.len()
    }

    /// The number of all thresholds.
    pub(super) fn n_values(&self) -> usize {
        self.values.len()
    }

    /// The most thresholds of any slot.
    pub(super) fn most(&self) -> usize {
        let count = |slot| self.of_slot(slot).len();
        (0..self.n_slots()).map(count).max().unwrap_or(0)
    }

    /// The feature of each slot.
    pub(super) fn features(&self) -> &[u32] {
        &self.features
    }

    /// The index of the first threshold of a slot among all thresholds.
    pub(super) fn start(&self, slot: usize) -> usize {
        if slot == 0 {
            0
        } else {
            self.ends[slot - 1] as usize
        }
    }

    /// The thresholds of a slot.
    pub(super) fn of_slot(&self, slot: usize) -> &[f64] {
        &self.values[self.start(slot)..self.ends[slot] as usize]
    }

    /// The range of the thresholds of a feature among all thresholds.
    pub(super) fn range_of_feature(&self, feature: u32) -> Range<usize> {
        match self.features.binary_search(&feature) {
            Ok(slot) => self.start(slot)..self.ends[slot] as usize,
            Err(_) => 0..0,
        }
    }

    /// The thresholds of a feature.
    pub(super) fn of_feature(&self, feature: u32) -> &[f64] {
        &self.values[self.range_of_feature(feature)]
    }

    /// What is wrong with deserialised thresholds, if anything.
    pub(super) fn fault(&self, n_features: usize) -> Option<&'static str> {
        let ascend = self.features.is_sorted_by(|a, b| a < b)
            && self
                .features
                .iter()
                .all(|&feature| (feature as usize) < n_features);
        if n_features > MAX_FEATURES || !ascend {
            return Some("the features of its thresholds do not ascend within those of its rows");
        }
        let divide = self.ends.len() == self.features.len()
            && self.ends.is_sorted()
            && self.ends.last().copied().unwrap_or(0) == self.values.len() as u64;
        if !divide {
            return Some("its features do not divide the thresholds between them");
        }
        let are_sound = (0..self.n_slots()).all(|slot| {
            let cuts = self.of_slot(slot);
            cuts.len() <= MAX_CUTS
                && cuts.is_sorted_by(|a, b| a < b)
                && cuts.iter().all(|cut| cut.is_finite())
        });
        if !are_sound {
            return Some("the thresholds of a feature are not finite or do not ascend");
        }
        None
    }

    pub(super) fn size_bytes(&self) -> usize {
        size_of_val(&*self.features) + size_of_val(&*self.ends) + size_of_val(&*self.values)
    }
}

/// How many searches are interleaved, so that their loads overlap.
const LANES: usize = 8;

/// Calls `put` with the code of each value, which is the number of thresholds below it.
#[inline]
pub(super) fn encode(cuts: &[f64], values: impl Iterator<Item = f64>, mut put: impl FnMut(u16)) {
    let mut values = values.fuse();
    loop {
        let mut lanes = [0.0; LANES];
        let mut n = 0;
        for (lane, value) in lanes.iter_mut().zip(&mut values) {
            *lane = value;
            n += 1;
        }
        let codes = count_leading::<LANES>(cuts, |lane, cut| cut < lanes[lane]);
        codes[..n].iter().for_each(|&code| put(code as u16));
        if n < LANES {
            return;
        }
    }
}
