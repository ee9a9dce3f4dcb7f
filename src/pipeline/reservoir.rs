//! A uniform sample of all raw rows that a run has ever learned from. It stands for them when a model is updated, so that
//! an update costs the same however many rows came before.

use ndarray::{Array2, ArrayView2};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Reason, Result};
use crate::features::Label;
use crate::table::MAX_CELLS;

/// A sample of at most `capacity` rows, each row ever seen being in it with the same probability (Vitter 1985, algorithm R).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reservoir {
    capacity: usize,
    n_features: usize,
    seen: u64,
    #[serde(with = "crate::le_bytes")]
    rows: Vec<f64>,
    /// One code a row: 0 normal, 1 anomaly, 2 unknown. Empty when no row ever had a label.
    #[serde(with = "crate::le_bytes")]
    labels: Vec<u8>,
    rng: Xoshiro256PlusPlus,
}

const UNKNOWN: u8 = 2;

impl Reservoir {
    /// An empty reservoir for `capacity` rows of `n_features` values, for fewer where they would not fit a table: updates fill
    /// it far beyond what one request could hold.
    pub fn new(capacity: usize, n_features: usize, random_state: u64) -> Self {
        Self {
            capacity: capacity.min(MAX_CELLS / n_features.max(1)).max(1),
            n_features,
            seen: 0,
            rows: Vec::new(),
            labels: Vec::new(),
            rng: Xoshiro256PlusPlus::seed_from_u64(random_state),
        }
    }

    /// How many rows it has seen.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// How many rows it holds.
    pub fn n_rows(&self) -> usize {
        self.rows.len() / self.n_features.max(1)
    }

    /// The rows it holds, as they came: NaN where a value was missing.
    pub fn rows(&self) -> Result<ArrayView2<'_, f64>> {
        ArrayView2::from_shape((self.n_rows(), self.n_features), &self.rows)
            .map_err(|error| damaged().because(error))
    }

    /// The labels of the rows it holds.
    pub fn labels(&self) -> Option<Vec<Label>> {
        let decode = |&code: &u8| match code {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        };
        (!self.labels.is_empty()).then(|| self.labels.iter().map(decode).collect())
    }

    /// Shows it more rows, n x d in standard layout, in their order, with their labels if there are any.
    pub fn offer(&mut self, rows: &Array2<f64>, labels: Option<&[Label]>) {
        if labels.is_some() && self.labels.is_empty() {
            self.labels = vec![UNKNOWN; self.n_rows()];
        }
        let free = self
            .capacity
            .saturating_sub(self.n_rows())
            .min(rows.nrows());
        self.rows.reserve(free * self.n_features);
        for (index, row) in rows.rows().into_iter().enumerate() {
            let label = labels.map_or(UNKNOWN, |labels| labels[index].map_or(UNKNOWN, u8::from));
            self.seen += 1;
            let held = self.n_rows();
            if held < self.capacity {
                self.rows.extend(row);
                if labels.is_some() || !self.labels.is_empty() {
                    self.labels.push(label);
                }
                continue;
            }
            let slot = self.rng.random_range(0..self.seen);
            if slot < held as u64 {
                let slot = slot as usize;
                let place = &mut self.rows[slot * self.n_features..(slot + 1) * self.n_features];
                for (old, &new) in place.iter_mut().zip(&row) {
                    *old = new;
                }
                if let Some(old) = self.labels.get_mut(slot) {
                    *old = label;
                }
            }
        }
    }

    /// Checks what came from a stored blob, for a model of `n_features`.
    pub fn validate(&self, n_features: usize) -> Result<()> {
        let n_rows = self.n_rows();
        let sound = self.n_features == n_features
            && n_features > 0
            && self.rows.len() == n_rows * n_features
            && n_rows <= self.capacity
            && n_rows as u64 <= self.seen
            && (self.labels.is_empty() || self.labels.len() == n_rows);
        if sound { Ok(()) } else { Err(damaged()) }
    }
}

fn damaged() -> Error {
    Error::new(
        Reason::DamagedArtifact,
        "the stored reservoir contradicts itself",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_kept_with_the_same_probability() {
        let rows = Array2::from_shape_fn((200, 1), |(row, _)| row as f64);
        let mut kept = [0u32; 200];
        for seed in 0..2000 {
            let mut reservoir = Reservoir::new(20, 1, seed);
            reservoir.offer(&rows, None);
            assert_eq!((reservoir.seen(), reservoir.n_rows()), (200, 20));
            for &row in &reservoir.rows {
                kept[row as usize] += 1;
            }
        }
        // each count is binomial(2000, 0.1): mean 200, standard deviation 13.4
        assert!(
            kept.iter().all(|&count| (130..=270).contains(&count)),
            "{kept:?}"
        );
    }

    #[test]
    fn offering_in_parts_is_offering_at_once_and_labels_stay_with_their_rows() {
        let rows = Array2::from_shape_fn((500, 2), |(row, column)| (row * 2 + column) as f64);
        let labels: Vec<Label> = (0..500).map(|row| Some(row % 3 == 0)).collect();
        let mut whole = Reservoir::new(50, 2, 1);
        whole.offer(&rows, Some(&labels));
        let mut parts = Reservoir::new(50, 2, 1);
        for start in (0..500).step_by(125) {
            let part = rows.slice(ndarray::s![start..start + 125, ..]).to_owned();
            parts.offer(&part, Some(&labels[start..start + 125]));
        }
        assert_eq!(whole, parts);
        let held = whole.rows().expect("sound");
        for (row, label) in held
            .rows()
            .into_iter()
            .zip(whole.labels().expect("has labels"))
        {
            assert_eq!(label, Some((row[0] as usize / 2).is_multiple_of(3)));
        }
    }

    #[test]
    fn wide_rows_cannot_take_more_memory_than_a_table_may() {
        assert_eq!(Reservoir::new(10_000, MAX_CELLS / 2, 0).capacity, 2);
        assert_eq!(Reservoir::new(10_000, 10, 0).capacity, 10_000);
        assert_eq!(Reservoir::new(10_000, usize::MAX, 0).capacity, 1);
    }

    #[test]
    fn labels_may_come_and_go() {
        let rows = Array2::zeros((3, 1));
        let mut reservoir = Reservoir::new(10, 1, 0);
        reservoir.offer(&rows, None);
        assert_eq!(reservoir.labels(), None);
        reservoir.offer(&rows, Some(&[Some(true), None, Some(false)]));
        reservoir.offer(&rows, None);
        let expected = [
            None,
            None,
            None,
            Some(true),
            None,
            Some(false),
            None,
            None,
            None,
        ];
        assert_eq!(reservoir.labels(), Some(expected.to_vec()));
        assert!(reservoir.validate(1).is_ok() && reservoir.validate(2).is_err());
    }
}
