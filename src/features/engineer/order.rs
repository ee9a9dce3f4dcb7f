//! The order in which training rows are learned from.

/// The rows of a table, sorted by time within each series: the positions that a series has in the table stay its own, and
/// its rows stand in them in the order of their times. Rows with equal times keep the order they came in; rows without a
/// time come after all others of their series, in the order they came in.
///
/// `times` are nanoseconds since 1970, `series` are codes, equally many; without them there is one series. The result is a
/// permutation: the row that comes at each position.
pub fn training_order(times: &[Option<i64>], series: Option<&[u32]>) -> Vec<usize> {
    // `None` is below every time, and has to come last
    let key = |row: &usize| (times[*row].is_none(), times[*row]);
    let mut sorted: Vec<usize> = (0..times.len()).collect();
    let Some(series) = series else {
        sorted.sort_by_key(key);
        return sorted;
    };
    let mut positions = sorted.clone();
    positions.sort_by_key(|&row| series[row]);
    sorted.sort_by_key(|row| (series[*row], key(row)));
    let mut order = vec![0; times.len()];
    for (position, row) in positions.into_iter().zip(sorted) {
        order[position] = row;
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_by_time_and_equal_times_stay() {
        let times = [Some(5), None, Some(-1), Some(5), None, Some(2)];
        assert_eq!(training_order(&times, None), [2, 5, 0, 3, 1, 4]);
        assert!(training_order(&[], None).is_empty());
    }

    #[test]
    fn a_series_keeps_its_positions() {
        let times = [Some(9), Some(3), Some(1), Some(2), Some(1)];
        let series = [7, 0, 7, 0, 7];
        assert_eq!(training_order(&times, Some(&series)), [2, 3, 4, 1, 0]);
    }
}
