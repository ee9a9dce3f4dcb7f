//! The order in which rows are learned from when features are engineered.

/// The indices of rows sorted by time, which also sorts the rows of each series. The sort is stable; rows without a time come
/// after all others.
///
/// `times` are nanoseconds since 1970.
pub(crate) fn training_order(times: &[Option<i64>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..times.len()).collect();
    order.sort_by_key(|&row| (times[row].is_none(), times[row]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_by_time_and_the_sort_is_stable() {
        let times = [Some(5), None, Some(-1), Some(5), None, Some(2)];
        assert_eq!(training_order(&times), [2, 5, 0, 3, 1, 4]);
        assert!(training_order(&[]).is_empty());
    }
}
