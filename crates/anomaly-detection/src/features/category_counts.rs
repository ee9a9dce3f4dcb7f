//! Counts of the categories among the rows that are learned from.

use ndarray::ArrayView2;

use super::vocabulary::Vocabulary;

/// Counts of the categories of each categorical feature.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CategoryCounts {
    /// For each feature the count of each category; empty for a numeric feature.
    of_features: Vec<Vec<u64>>,
    /// For each categorical feature the number of values present, including those of unknown categories.
    n_present: Vec<u64>,
}

impl CategoryCounts {
    /// Adds the counts of rows, n x r, in which a categorical feature holds the numbers of its texts in the vocabulary.
    pub(crate) fn add(&mut self, rows: ArrayView2<'_, f64>, vocabulary: &Vocabulary) {
        self.of_features.resize(rows.ncols(), Vec::new());
        self.n_present.resize(rows.ncols(), 0);
        let counts = self.of_features.iter_mut().zip(&mut self.n_present);
        for (feature, (counts, n_present)) in counts.enumerate() {
            let Some(categories) = vocabulary.of(feature) else {
                continue;
            };
            counts.resize(categories.len(), 0);
            for &value in rows.column(feature).iter().filter(|value| !value.is_nan()) {
                *n_present += 1;
                // the number of an unknown category is negative
                if value >= 0.0
                    && let Some(count) = counts.get_mut(value as usize)
                {
                    *count += 1;
                }
            }
        }
    }

    /// The number of the most frequent category of a feature, the smallest if there are several; `None` if there is no value.
    pub(super) fn most_frequent(&self, feature: usize) -> Option<f64> {
        let counts = self.of_features.get(feature)?;
        let best = (0..counts.len())
            .rev()
            .max_by_key(|&number| counts[number])?;
        (counts[best] > 0).then_some(best as f64)
    }

    /// The share of each category of a feature among the values that are present.
    pub(super) fn shares(&self, feature: usize) -> Vec<f64> {
        let counts = self.of_features.get(feature).map_or(&[][..], Vec::as_slice);
        let n_present = self.n_present.get(feature).copied().unwrap_or(0).max(1);
        counts
            .iter()
            .map(|&count| count as f64 / n_present as f64)
            .collect()
    }
}
