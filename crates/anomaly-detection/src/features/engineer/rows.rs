//! A batch of rows, and how they are grouped by series.

use std::collections::HashMap;
use std::ops::Range;

use super::layout::Layout;

/// Rows to engineer features of, in their order in time.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// How many rows there are.
    pub n_rows: usize,
    /// The values of each of the plan's columns, row by row.
    pub columns: &'a [&'a [f64]],
    /// The time of each row, in nanoseconds since 1970; `None` if rows have no time.
    pub times: Option<&'a [Option<i64>]>,
    /// The series of each row; `None` if there is a single series without a name.
    pub series: Option<SeriesOfRows<'a>>,
}

/// The series of each row.
#[derive(Debug, Clone, Copy)]
pub struct SeriesOfRows<'a> {
    /// For each row the index of the name of its series.
    pub codes: &'a [u32],
    /// The names of the series. A name that occurs twice is one series.
    pub keys: &'a [String],
}

impl Rows<'_> {
    /// Whether all parts have [`n_rows`](Self::n_rows) rows, and the columns are those of the layout.
    pub(super) fn fit(&self, layout: &Layout) -> bool {
        self.columns.len() == layout.n_columns()
            && self
                .columns
                .iter()
                .all(|values| values.len() == self.n_rows)
            && self.times.is_none_or(|times| times.len() == self.n_rows)
            && self.series.is_none_or(|series| {
                let n_keys = series.keys.len();
                series.codes.len() == self.n_rows
                    && series.codes.iter().all(|&code| (code as usize) < n_keys)
            })
    }

    pub(super) fn key(&self, row: usize) -> &str {
        self.series
            .map_or("", |series| &series.keys[series.codes[row] as usize])
    }

    pub(super) fn time(&self, row: usize) -> Option<i64> {
        self.times.and_then(|times| times[row])
    }

    pub(super) fn values(&self, row: usize) -> impl Iterator<Item = f64> {
        self.columns.iter().map(move |values| values[row])
    }
}

/// The rows of a series, in order.
#[derive(Clone, Copy)]
pub(super) enum Members<'a> {
    All(usize),
    These(&'a [usize]),
}

impl Members<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::All(n) => *n,
            Self::These(rows) => rows.len(),
        }
    }

    pub(super) fn get(&self, index: usize) -> usize {
        match self {
            Self::All(_) => index,
            Self::These(rows) => rows[index],
        }
    }
}

/// The slots, each with the range of its rows among the rows that are grouped by series.
pub(super) type Groups = Vec<(usize, Range<usize>)>;

/// Groups the rows by series: the rows in their new order, and the range of each slot.
pub(super) fn group(
    series: SeriesOfRows<'_>,
    firsts: &[usize],
    slots: &[usize],
) -> (Vec<usize>, Groups) {
    let mut groups: Groups = Vec::new();
    let mut group_of_slot = HashMap::new();
    let mut group_of_code = vec![0; series.keys.len()];
    for (&row, &slot) in firsts.iter().zip(slots) {
        let group = *group_of_slot.entry(slot).or_insert_with(|| {
            groups.push((slot, 0..0));
            groups.len() - 1
        });
        group_of_code[series.codes[row] as usize] = group;
    }
    let groups_of_rows = || {
        series
            .codes
            .iter()
            .map(|&code| group_of_code[code as usize])
    };
    for group in groups_of_rows() {
        groups[group].1.end += 1;
    }
    let mut start = 0;
    for (_, range) in &mut groups {
        let n = range.end;
        *range = start..start;
        start += n;
    }
    let mut order = vec![0; series.codes.len()];
    for (row, group) in groups_of_rows().enumerate() {
        let range = &mut groups[group].1;
        order[range.end] = row;
        range.end += 1;
    }
    (order, groups)
}
