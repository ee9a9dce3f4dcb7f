//! Validation of a supervised detector on rows that it has not learned from.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::learning_rows::LearningRows;
use super::model::Model;
use crate::calibration::LabelMetrics;
use crate::context::Context;
use crate::error::Result;

/// A stratified split of rows into two parts, with the same share of anomalies in each as far as their numbers allow.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Split {
    /// The rows to learn from, ascending.
    pub(super) learned: Vec<usize>,
    /// The rows to measure on, ascending.
    pub(super) held_out: Vec<usize>,
}

impl Split {
    /// Holds out a random share of the rows of each class, at least one and not all of them. `None` if the share is 0 or a class
    /// has fewer than two rows.
    pub(super) fn stratified(classes: &[bool], fraction: f64, random_state: u64) -> Option<Self> {
        if fraction <= 0.0 {
            return None;
        }
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(random_state);
        let mut split = Self {
            learned: Vec::new(),
            held_out: Vec::new(),
        };
        for class in [false, true] {
            let mut rows: Vec<usize> = (0..classes.len())
                .filter(|&row| classes[row] == class)
                .collect();
            if rows.len() < 2 {
                return None;
            }
            rows.shuffle(&mut rng);
            let n_held_out =
                ((rows.len() as f64 * fraction).round() as usize).clamp(1, rows.len() - 1);
            split.held_out.extend(&rows[..n_held_out]);
            split.learned.extend(&rows[n_held_out..]);
        }
        split.learned.sort_unstable();
        split.held_out.sort_unstable();
        Some(split)
    }
}

impl Model {
    /// Compares the scores and decisions of the model with the labels of rows that it has not learned from.
    pub(super) fn measure(
        &self,
        rows: &LearningRows,
        context: &Context,
    ) -> Result<Option<LabelMetrics>> {
        let scores = self.score_raw(rows.raw.view(), context)?;
        let labels = rows.labels.as_deref().unwrap_or_default();
        let verdicts = self.threshold.verdicts(&scores);
        Ok(LabelMetrics::new(&scores, &verdicts, labels, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_have_both_classes_and_every_row_is_in_one() {
        let classes: Vec<bool> = (0..1000).map(|row| row % 50 == 0).collect();
        let split = Split::stratified(&classes, 0.2, 7).expect("both classes");
        assert_eq!(split.held_out.len(), 200);
        let anomalies = split.held_out.iter().filter(|&&row| classes[row]).count();
        assert_eq!(anomalies, 4);
        let mut all: Vec<usize> = split
            .learned
            .iter()
            .chain(&split.held_out)
            .copied()
            .collect();
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
        assert_eq!(Split::stratified(&classes, 0.2, 7), Some(split));
        assert_ne!(
            Split::stratified(&classes, 0.2, 8),
            Split::stratified(&classes, 0.2, 7)
        );
    }

    #[test]
    fn a_class_of_two_rows_is_split_and_one_of_a_single_row_is_not() {
        let split = Split::stratified(&[true, false, true, false], 0.5, 0).expect("two of each");
        assert_eq!((split.learned.len(), split.held_out.len()), (2, 2));
        assert_eq!(Split::stratified(&[true, false, false], 0.2, 0), None);
        assert_eq!(Split::stratified(&[true, false, true, false], 0.0, 0), None);
    }
}
