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
            capacity: limited(capacity, n_features),
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
        self.capacity = limited(self.capacity, width);
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

    /// Offers more rows in order, n x d, with their labels if there are any.
    ///
    /// # Errors
    /// [`reason::SCHEMA_MISMATCH`] for rows of another width, and unless there are as many labels as rows.
    pub fn offer(&mut self, rows: ArrayView2<'_, f64>, labels: Option<&[Label]>) -> Result<()> {
        if rows.ncols() != self.n_features {
            let message = format!(
                "the rows have {} values each; the reservoir holds rows of {}",
                rows.ncols(),
                self.n_features
            );
            return Err(Error::new(reason::SCHEMA_MISMATCH, message));
        }
        if let Some(labels) = labels
            && labels.len() != rows.nrows()
        {
            let message = format!(
                "there are {} labels for {} rows",
                labels.len(),
                rows.nrows()
            );
            return Err(Error::new(reason::SCHEMA_MISMATCH, message));
        }
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
        Ok(())
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
                && part.capacity == limited(part.capacity, n_features)
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

/// A capacity of at least one row, and of no more rows than fit in a table.
fn limited(capacity: usize, n_features: usize) -> usize {
    capacity.min(MAX_CELLS / n_features.max(1)).max(1)
}

fn damaged() -> Error {
    Error::new(
        reason::DAMAGED_ARTIFACT,
        "the stored reservoir contradicts itself",
    )
}

#[cfg(test)]
mod tests;
