//! The order in which a detector sees features, which follows from their names and not from the order in a table.

use serde::{Deserialize, Serialize};

/// The order in which a detector sees features, relative to the one in which they are shown.
///
/// The same table may come with its columns in any order: keys of JSON objects have none. A detector that draws columns by index
/// or takes the first of equals must not depend on that order. Features are therefore sorted by the bytes of their names.
/// Adopted features follow all earlier ones, so that the place of a feature never changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct ColumnOrder {
    /// For each place the index of its feature in the order shown; empty if both orders are the same.
    shown: Vec<usize>,
}

impl ColumnOrder {
    /// The order of features that are shown in the order of `names`, which are unique.
    pub(super) fn by_name(names: &[String]) -> Self {
        Self::default().widened(0, names)
    }

    /// The same order followed by the features of `names` from `n_known` on.
    #[must_use]
    pub(super) fn widened(&self, n_known: usize, names: &[String]) -> Self {
        let mut shown: Vec<usize> = (0..n_known).map(|place| self.shown_at(place)).collect();
        let mut new: Vec<usize> = (n_known..names.len()).collect();
        new.sort_unstable_by_key(|&feature| names[feature].as_bytes());
        shown.extend(new);
        if shown.is_sorted() {
            shown.clear();
        }
        Self { shown }
    }

    /// The index in the order shown of the feature at a place.
    pub(super) fn shown_at(&self, place: usize) -> usize {
        self.shown.get(place).copied().unwrap_or(place)
    }

    /// Reorders one item per feature from the order shown to that of the places.
    pub(super) fn arrange<T: Copy>(&self, mut shown: Vec<T>) -> Vec<T> {
        if !self.shown.is_empty() {
            shown = self.shown.iter().map(|&feature| shown[feature]).collect();
        }
        shown
    }

    /// Reorders one item per place to the order shown. Items that follow those of the features stay where they are.
    pub(super) fn restore<T: Clone>(&self, places: &[T]) -> Vec<T> {
        let mut shown = places.to_vec();
        for (place, &feature) in self.shown.iter().enumerate() {
            shown[feature].clone_from(&places[place]);
        }
        shown
    }

    /// Whether a stored order is one of `n` features.
    pub(super) fn is_valid(&self, n: usize) -> bool {
        if self.shown.is_empty() {
            return true;
        }
        let mut is_placed = vec![false; n];
        self.shown.len() == n
            && self.shown.iter().all(|&feature| {
                let place = is_placed.get_mut(feature);
                place.is_some_and(|is_placed| !std::mem::replace(is_placed, true))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn names_are_sorted_by_their_bytes_and_adopted_ones_come_last() {
        let order = ColumnOrder::by_name(&names(&["f1", "f10", "B", "f2", "a"]));
        assert_eq!(order.arrange(vec![0, 1, 2, 3, 4]), [2, 4, 0, 1, 3]);
        let all = names(&["f1", "f10", "B", "f2", "a", "z", "A"]);
        let wider = order.widened(5, &all);
        assert_eq!(
            wider.arrange(vec![0, 1, 2, 3, 4, 5, 6]),
            [2, 4, 0, 1, 3, 6, 5]
        );
        assert!(wider.is_valid(7) && !wider.is_valid(6) && !wider.is_valid(8));
    }

    #[test]
    fn restore_undoes_arrange_and_keeps_what_follows() {
        let order = ColumnOrder::by_name(&names(&["c", "a", "b"]));
        let arranged = order.arrange(vec!['c', 'a', 'b']);
        assert_eq!(arranged, ['a', 'b', 'c']);
        assert_eq!(order.restore(&['a', 'b', 'c', 'x']), ['c', 'a', 'b', 'x']);
        let same = ColumnOrder::by_name(&names(&["a", "b"]));
        assert_eq!(same, ColumnOrder::default());
        assert_eq!(same.restore(&same.arrange(vec![1, 2])), [1, 2]);
    }

    #[test]
    fn a_stored_order_that_is_no_permutation_is_refused() {
        for shown in [vec![0, 0, 1], vec![0, 1, 3], vec![1, 0], vec![3, 2, 1, 0]] {
            assert!(!ColumnOrder { shown }.is_valid(3));
        }
        assert!(ColumnOrder::default().is_valid(3));
        assert!(
            ColumnOrder {
                shown: vec![2, 0, 1]
            }
            .is_valid(3)
        );
    }
}
