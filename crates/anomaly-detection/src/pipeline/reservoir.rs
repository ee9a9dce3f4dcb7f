//! A uniform sample of all raw rows that a run has learned from. It stands for them when a model is updated, so that the cost
//! of an update does not grow with the number of earlier rows.

use ndarray::{ArrayView1, ArrayView2, Axis, CowArray, Ix2};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, reason};
use crate::features::{Features, Label, Schema, Vocabulary};
use crate::table::{MAX_CELLS, Table};

/// A sample of at most `capacity` rows that contains every row seen so far with the same probability (Vitter, "Random sampling
/// with a reservoir", 1985, algorithm R).
///
/// For a supervised detector, normal rows and anomalies are sampled separately, with half of the capacity each: a single sample
/// could lose a rare class altogether.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reservoir {
    capacity: usize,
    n_features: usize,
    seen: u64,
    #[serde(with = "crate::le_bytes")]
    rows: Vec<f64>,
    /// A code for each row: 0 normal, 1 anomaly, 2 unknown. Empty if no row has ever had a label.
    #[serde(with = "crate::le_bytes")]
    labels: Vec<u8>,
    rng: Xoshiro256PlusPlus,
    /// The anomalies, if they are sampled separately.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    anomalies: Option<Box<Reservoir>>,
    /// The texts whose numbers are among the values: those of the model, and then those that came since.
    vocabulary: Vocabulary,
}

const UNKNOWN: u8 = 2;
const ANOMALY: u8 = 1;

impl Reservoir {
    /// An empty reservoir for `capacity` rows of `n_features` values, or for fewer if so many would not fit in a table: updates
    /// could otherwise fill it far beyond what one request can hold.
    pub fn new(capacity: usize, n_features: usize, random_state: u64) -> Self {
        Self {
            capacity: capacity.min(MAX_CELLS / n_features.max(1)).max(1),
            n_features,
            seen: 0,
            rows: Vec::new(),
            labels: Vec::new(),
            rng: Xoshiro256PlusPlus::seed_from_u64(random_state),
            anomalies: None,
            vocabulary: Vocabulary::default(),
        }
    }

    /// The same reservoir with these texts.
    #[must_use]
    pub fn with_vocabulary(self, vocabulary: Vocabulary) -> Self {
        Self { vocabulary, ..self }
    }

    /// The texts whose numbers are among the values.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Adds the texts of a table that are not known yet, as far as there is room for them.
    pub fn learn_vocabulary(&mut self, schema: &Schema, table: &Table) {
        self.vocabulary.learn_what_fits(schema, table);
    }

    /// An empty reservoir as [`new`](Self::new) makes it, but with anomalies sampled separately from all other rows.
    pub fn by_class(capacity: usize, n_features: usize, random_state: u64) -> Self {
        let anomalies = Self::new(capacity / 2, n_features, random_state.wrapping_add(1));
        Self {
            anomalies: Some(Box::new(anomalies)),
            ..Self::new(capacity - capacity / 2, n_features, random_state)
        }
    }

    /// The same rows with `n_new` missing values inserted after the first `n_features`, and with these texts. If the wider rows
    /// no longer fit in a table, a uniform sample of them is kept.
    #[must_use]
    pub fn widened(mut self, n_features: usize, n_new: usize, vocabulary: Vocabulary) -> Self {
        let width = self.n_features + n_new;
        self.capacity = self.capacity.min(MAX_CELLS / width.max(1)).max(1);
        let n_held = self.n_held();
        let mut kept: Vec<usize> = (0..n_held).collect();
        if n_held > self.capacity {
            kept.shuffle(&mut self.rng);
            kept.truncate(self.capacity);
            kept.sort_unstable();
        }
        let mut rows = Vec::with_capacity(kept.len() * width);
        for &row in &kept {
            let row = &self.rows[row * self.n_features..(row + 1) * self.n_features];
            let (features, engineered) = row.split_at(n_features.min(row.len()));
            rows.extend_from_slice(features);
            rows.resize(rows.len() + n_new, f64::NAN);
            rows.extend_from_slice(engineered);
        }
        let labels = match self.labels.is_empty() {
            true => Vec::new(),
            false => kept.iter().map(|&row| self.labels[row]).collect(),
        };
        let anomalies = self
            .anomalies
            .map(|anomalies| Box::new(anomalies.widened(n_features, n_new, Vocabulary::default())));
        Self {
            n_features: width,
            rows,
            labels,
            anomalies,
            vocabulary,
            ..self
        }
    }

    /// How many rows it has been offered.
    pub fn seen(&self) -> u64 {
        self.parts()
            .map(|part| part.seen)
            .fold(0, u64::saturating_add)
    }

    /// How many normal rows and how many anomalies it has been offered, if they are sampled separately.
    pub fn seen_by_class(&self) -> Option<[u64; 2]> {
        let anomalies = self.anomalies.as_ref()?;
        Some([self.seen, anomalies.seen])
    }

    /// How many rows it holds.
    pub fn n_rows(&self) -> usize {
        self.parts().map(Self::n_held).sum()
    }

    /// The rows that it holds, with NaN where a value was missing.
    pub fn rows(&self) -> Result<CowArray<'_, f64, Ix2>> {
        let views = self
            .parts()
            .map(|part| ArrayView2::from_shape((part.n_held(), self.n_features), &part.rows))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| damaged().because(error))?;
        match views.as_slice() {
            [only] => Ok(CowArray::from(*only)),
            views => ndarray::concatenate(Axis(0), views)
                .map(CowArray::from)
                .map_err(|error| damaged().because(error)),
        }
    }

    /// The labels of the rows that it holds; `None` if no row has ever had one.
    pub fn labels(&self) -> Option<Vec<Label>> {
        let decode = |&code: &u8| match code {
            0 => Some(false),
            ANOMALY => Some(true),
            _ => None,
        };
        let labels: Vec<Label> = self
            .parts()
            .flat_map(|part| &part.labels)
            .map(decode)
            .collect();
        (!labels.is_empty()).then_some(labels)
    }

    /// How many rows each row that it holds stands for.
    pub fn weights(&self) -> Vec<f64> {
        let of_part = |part: &Self| {
            let n_held = part.n_held();
            let weight = (part.seen as f64 / n_held.max(1) as f64).max(1.0);
            std::iter::repeat_n(weight, n_held)
        };
        self.parts().flat_map(of_part).collect()
    }

    /// Offers more rows in order, n x d in standard layout, with their labels if there are any.
    pub fn offer(&mut self, rows: ArrayView2<'_, f64>, labels: Option<&[Label]>) {
        if labels.is_some() {
            self.start_labels();
        }
        let free = self.capacity.saturating_sub(self.n_held());
        self.rows.reserve(free.min(rows.nrows()) * self.n_features);
        for (index, row) in rows.rows().into_iter().enumerate() {
            let label = labels.map(|labels| labels[index].map_or(UNKNOWN, u8::from));
            match (&mut self.anomalies, label) {
                (Some(anomalies), Some(ANOMALY)) => {
                    anomalies.start_labels();
                    anomalies.offer_row(row, ANOMALY);
                }
                (_, label) => self.offer_row(row, label.unwrap_or(UNKNOWN)),
            }
        }
    }

    /// Starts to store labels; the rows so far get unknown ones.
    fn start_labels(&mut self) {
        if self.labels.is_empty() {
            self.labels = vec![UNKNOWN; self.n_held()];
        }
    }

    fn offer_row(&mut self, row: ArrayView1<'_, f64>, label: u8) {
        self.seen = self.seen.saturating_add(1);
        let held = self.n_held();
        if held < self.capacity {
            self.rows.extend(row);
            if label != UNKNOWN || !self.labels.is_empty() {
                self.labels.resize(held, UNKNOWN);
                self.labels.push(label);
            }
            return;
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

    /// This reservoir, and that of the anomalies if they are sampled separately.
    fn parts(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(self.anomalies.as_deref())
    }

    /// How many rows it holds, not counting anomalies that are sampled separately.
    fn n_held(&self) -> usize {
        self.rows.len() / self.n_features.max(1)
    }

    /// Checks a reservoir that was decoded from stored bytes, for a model with these features.
    pub fn validate(&self, features: &Features) -> Result<()> {
        if !self.vocabulary.extends(&features.vocabulary) {
            return Err(damaged());
        }
        self.validate_rows(features.n_raw())
    }

    fn validate_rows(&self, n_features: usize) -> Result<()> {
        let sound = |part: &Self| {
            let n_held = part.n_held();
            part.n_features == n_features
                && n_features > 0
                && part.rows.len() == n_held * n_features
                && n_held <= part.capacity
                && n_held as u64 <= part.seen
                && (part.labels.is_empty() || part.labels.len() == n_held)
        };
        let nested = self
            .anomalies
            .as_ref()
            .is_some_and(|anomalies| anomalies.anomalies.is_some());
        let n_cells = self.n_rows().saturating_mul(n_features);
        // either all parts have labels or none does
        let mut labelled = self.parts().filter(|part| part.n_held() > 0);
        let first = labelled.next().map(|part| part.labels.is_empty());
        let alike = labelled.all(|part| Some(part.labels.is_empty()) == first);
        if !nested && alike && self.parts().all(sound) && n_cells <= 2 * MAX_CELLS {
            Ok(())
        } else {
            Err(damaged())
        }
    }
}

fn damaged() -> Error {
    Error::new(
        reason::DAMAGED_ARTIFACT,
        "the stored reservoir contradicts itself",
    )
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    #[test]
    fn every_row_is_kept_with_the_same_probability() {
        let rows = Array2::from_shape_fn((200, 1), |(row, _)| row as f64);
        let mut kept = [0u32; 200];
        for seed in 0..2000 {
            let mut reservoir = Reservoir::new(20, 1, seed);
            reservoir.offer(rows.view(), None);
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
    fn rows_may_be_offered_in_parts_and_labels_stay_with_their_rows() {
        let rows = Array2::from_shape_fn((500, 2), |(row, column)| (row * 2 + column) as f64);
        let labels: Vec<Label> = (0..500).map(|row| Some(row % 3 == 0)).collect();
        let mut whole = Reservoir::new(50, 2, 1);
        whole.offer(rows.view(), Some(&labels));
        let mut parts = Reservoir::new(50, 2, 1);
        for start in (0..500).step_by(125) {
            let part = rows.slice(ndarray::s![start..start + 125, ..]).to_owned();
            parts.offer(part.view(), Some(&labels[start..start + 125]));
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
    fn the_capacity_is_limited_by_the_cells_of_a_table() {
        assert_eq!(Reservoir::new(10_000, MAX_CELLS / 2, 0).capacity, 2);
        assert_eq!(Reservoir::new(10_000, 10, 0).capacity, 10_000);
        assert_eq!(Reservoir::new(10_000, usize::MAX, 0).capacity, 1);
    }

    #[test]
    fn labels_may_come_and_go() {
        let rows = Array2::zeros((3, 1));
        let mut reservoir = Reservoir::new(10, 1, 0);
        reservoir.offer(rows.view(), None);
        assert_eq!(reservoir.labels(), None);
        reservoir.offer(rows.view(), Some(&[Some(true), None, Some(false)]));
        reservoir.offer(rows.view(), None);
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
        assert!(reservoir.validate_rows(1).is_ok() && reservoir.validate_rows(2).is_err());
    }

    #[test]
    fn a_widened_reservoir_fits_in_a_table_and_labels_stay_with_their_rows() {
        let rows = Array2::from_shape_fn((1000, 2), |(row, _)| row as f64);
        let labels: Vec<Label> = (0..1000).map(|row| Some(row % 2 == 1)).collect();
        let mut reservoir = Reservoir::new(1000, 2, 5);
        reservoir.offer(rows.view(), Some(&labels));
        // one engineered value stays after the new features
        let wide = reservoir.widened(1, 65_534, Vocabulary::default());
        assert_eq!(wide.n_rows(), MAX_CELLS / 65_536);
        assert_eq!(wide.seen(), 1000);
        assert!(wide.validate_rows(65_536).is_ok());
        let held = wide.rows().expect("sound");
        for (row, label) in held
            .rows()
            .into_iter()
            .zip(wide.labels().expect("has labels"))
        {
            assert!(row[0] == row[65_535] && row[1].is_nan());
            assert_eq!(label, Some(row[0] as usize % 2 == 1));
        }
    }

    #[test]
    fn a_rare_class_is_not_lost() {
        let rows = Array2::from_shape_fn((5000, 1), |(row, _)| row as f64);
        let labels: Vec<Label> = (0..5000).map(|row| Some(row % 1000 == 7)).collect();
        let mut reservoir = Reservoir::by_class(100, 1, 3);
        reservoir.offer(rows.view(), Some(&labels));
        assert_eq!((reservoir.seen(), reservoir.n_rows()), (5000, 55));
        assert_eq!(reservoir.seen_by_class(), Some([4995, 5]));
        let held = reservoir.labels().expect("has labels");
        assert_eq!(held.iter().filter(|label| **label == Some(true)).count(), 5);
        for (row, label) in reservoir
            .rows()
            .expect("sound")
            .rows()
            .into_iter()
            .zip(held)
        {
            assert_eq!(label, Some(row[0] as usize % 1000 == 7));
        }
        let total: f64 = reservoir.weights().iter().sum();
        assert!((total - 5000.0).abs() < 1e-9);
        assert!(reservoir.validate_rows(1).is_ok());
    }
}
