//! The order in which training rows are learned from.

/// The rows of a table in the order of their times, so that those of each series are, too. Rows with equal times keep the order
/// they came in; rows without a time come after all others, in the order they came in.
///
/// `times` are nanoseconds since 1970. The result is a permutation: the row that comes at each position.
pub fn training_order(times: &[Option<i64>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..times.len()).collect();
    order.sort_by_key(|&row| (times[row].is_none(), times[row]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_by_time_and_equal_times_stay() {
        let times = [Some(5), None, Some(-1), Some(5), None, Some(2)];
        assert_eq!(training_order(&times), [2, 5, 0, 3, 1, 4]);
        assert!(training_order(&[]).is_empty());
    }
}
