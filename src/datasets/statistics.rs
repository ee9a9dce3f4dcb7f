//! The statistics of each column of a dataset, gathered chunk by chunk.

use std::collections::HashSet;
use std::hash::BuildHasher as _;

use hashbrown::DefaultHashBuilder;
use ndarray::{Array2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, reason};
use anomaly_detection::statistics::moments::FeatureMoments;
use anomaly_detection::table::read::FileSummary;
use anomaly_detection::table::{ColumnType, ColumnView, MISSING_TIME, Table, TextColumn};

/// The most distinct texts of a column that are counted.
pub const MAX_DISTINCT: usize = 100_000;

/// The most distinct texts that are counted in all columns together: 64 MiB of their hashes.
const MAX_ALL_DISTINCT: usize = 4_000_000;

/// The squares of larger numbers, or their sum, may overflow a double.
const MAX_SQUARED: f64 = 1e140;

/// Statistics of the values of a column. The file's summary has the number of missing values.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ColumnStatistics {
    /// How many values are infinite.
    pub n_infinite: u64,
    /// For a column of numbers or booleans with a finite value.
    pub numbers: Option<NumberStatistics>,
    /// The number of distinct texts, if at most [`MAX_DISTINCT`].
    pub n_distinct: Option<u64>,
    /// For a column of times with at least one time.
    pub times: Option<TimeStatistics>,
}

/// Statistics of the finite numbers of a column.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NumberStatistics {
    /// The mean; absent if a value is too large to be squared.
    pub mean: Option<f64>,
    /// The sample standard deviation, 0 for one value; absent if a value is too large to be squared.
    pub std: Option<f64>,
    /// The smallest one.
    pub min: f64,
    /// The largest one.
    pub max: f64,
}

/// The first and the last time of a column, in nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeStatistics {
    /// The first one.
    pub min: i64,
    /// The last one.
    pub max: i64,
}

/// Statistics that are being gathered.
pub(super) struct Gathering {
    columns: Vec<ColumnGathering>,
    /// The moments of the columns of numbers and booleans, in their order, without infinite values and without
    /// columns that have huge ones.
    moments: FeatureMoments,
    hasher: DefaultHashBuilder,
    n_distinct: usize,
}

enum ColumnGathering {
    Numbers(Numbers),
    /// The hashes of the distinct texts, until there are too many.
    Texts(Option<HashSet<u64>>),
    Times(Option<TimeStatistics>),
}

#[derive(Clone, Copy)]
struct Numbers {
    /// The index of the column among the moments.
    place: usize,
    n_infinite: u64,
    min: f64,
    max: f64,
    is_huge: bool,
}

impl Gathering {
    /// Statistics of no rows.
    pub(super) fn new(summary: &FileSummary) -> Self {
        let mut n_numbers = 0;
        let columns = summary.columns().iter();
        let columns = columns.map(|column| match column.column_type {
            ColumnType::Number | ColumnType::Boolean => {
                let place = n_numbers;
                n_numbers += 1;
                ColumnGathering::Numbers(Numbers {
                    place,
                    n_infinite: 0,
                    min: f64::INFINITY,
                    max: f64::NEG_INFINITY,
                    is_huge: false,
                })
            }
            ColumnType::Text => ColumnGathering::Texts(Some(HashSet::new())),
            ColumnType::Timestamp => ColumnGathering::Times(None),
        });
        Self {
            columns: columns.collect(),
            moments: FeatureMoments::new(n_numbers),
            hasher: DefaultHashBuilder::default(),
            n_distinct: 0,
        }
    }

    /// Adds rows with the columns of the summary.
    pub(super) fn add(&mut self, table: &Table) -> Result<()> {
        let n_numbers = self.moments.n_features();
        // column by column in memory, in the order in which they are filled
        let mut values = Array2::from_elem((n_numbers, table.n_rows()), f64::NAN);
        let mut rows = values.axis_iter_mut(Axis(0));
        let mut numbers = Vec::with_capacity(n_numbers);
        for (index, column) in self.columns.iter_mut().enumerate() {
            match (column, table.column(index)) {
                (
                    ColumnGathering::Numbers(column),
                    ColumnView::Numbers(view) | ColumnView::Booleans(view),
                ) => numbers.extend(rows.next().map(|row| (column, view, row))),
                (ColumnGathering::Texts(distinct), ColumnView::Texts(texts)) => {
                    count(distinct, texts, &self.hasher, &mut self.n_distinct);
                }
                (ColumnGathering::Times(span), ColumnView::Times(times)) => {
                    for &time in times.iter().filter(|time| **time != MISSING_TIME) {
                        let span = span.get_or_insert(TimeStatistics {
                            min: time,
                            max: time,
                        });
                        span.min = span.min.min(time);
                        span.max = span.max.max(time);
                    }
                }
                _ => return Err(defect("a chunk has other columns than its file")),
            }
        }
        numbers.into_par_iter().for_each(|(column, view, mut row)| {
            for (to, &value) in row.iter_mut().zip(view) {
                *to = column.note(value);
            }
            if column.is_huge {
                row.fill(f64::NAN);
            }
        });
        self.moments
            .push(values.t())
            .map_err(|_| defect("the moments of numbers that can be squared are not finite"))
    }

    /// The statistics of each column.
    pub(super) fn finish(self) -> Vec<ColumnStatistics> {
        let (mean, std) = (self.moments.mean(), self.moments.std());
        let columns = self.columns.into_iter();
        columns
            .map(|column| match column {
                ColumnGathering::Numbers(numbers) => ColumnStatistics {
                    n_infinite: numbers.n_infinite,
                    numbers: (numbers.min <= numbers.max).then_some(NumberStatistics {
                        mean: (!numbers.is_huge).then(|| mean[numbers.place]),
                        std: (!numbers.is_huge).then(|| std[numbers.place]),
                        min: numbers.min,
                        max: numbers.max,
                    }),
                    ..ColumnStatistics::default()
                },
                ColumnGathering::Texts(distinct) => ColumnStatistics {
                    n_distinct: distinct.map(|distinct| distinct.len() as u64),
                    ..ColumnStatistics::default()
                },
                ColumnGathering::Times(times) => ColumnStatistics {
                    times,
                    ..ColumnStatistics::default()
                },
            })
            .collect()
    }
}

impl Numbers {
    /// Notes a value. Returns it as the moments take it, NaN if it is not finite.
    fn note(&mut self, value: f64) -> f64 {
        if !value.is_finite() {
            self.n_infinite += u64::from(value.is_infinite());
            return f64::NAN;
        }
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.is_huge |= value.abs() > MAX_SQUARED;
        value
    }
}

/// Counts the texts of a chunk, whose dictionary holds exactly those of its rows.
fn count(
    distinct: &mut Option<HashSet<u64>>,
    texts: &TextColumn,
    hasher: &DefaultHashBuilder,
    n_all: &mut usize,
) {
    let Some(known) = distinct else {
        return;
    };
    for text in texts.dictionary().iter() {
        *n_all += usize::from(known.insert(hasher.hash_one(text.as_bytes())));
        if known.len() > MAX_DISTINCT || *n_all > MAX_ALL_DISTINCT {
            *n_all -= known.len();
            *distinct = None;
            return;
        }
    }
}

fn defect(message: &str) -> Error {
    Error::new(reason::INTERNAL, message)
}

#[cfg(test)]
mod tests {
    use super::super::inspect::inspect;
    use super::*;
    use anomaly_detection::context::Context;
    use anomaly_detection::table::read::{FileOptions, Limits, Source};

    fn of(csv: &str) -> Vec<ColumnStatistics> {
        let source = Source::from(bytes::Bytes::copy_from_slice(csv.as_bytes()));
        let options = FileOptions::default();
        let description = inspect(&source, options, Limits::default(), &Context::new());
        description.expect("valid").statistics
    }

    #[test]
    fn numbers_texts_and_booleans_have_their_statistics() {
        let all = of("n,s,b\n1,x,true\n3,y,false\n,x,\ninf,,true\n");
        let numbers = all[0].numbers.expect("numbers");
        assert_eq!(
            (numbers.mean, numbers.min, numbers.max),
            (Some(2.0), 1.0, 3.0)
        );
        assert_eq!(numbers.std, Some(2.0_f64.sqrt()));
        assert_eq!(all[0].n_infinite, 1);
        assert_eq!(all[1].n_distinct, Some(2));
        assert_eq!(all[1].numbers, None);
        assert_eq!(all[2].numbers.expect("booleans").mean, Some(2.0 / 3.0));
    }

    #[test]
    fn numbers_too_large_to_square_have_no_mean_and_affect_no_other_column() {
        let all = of("a,b,c\n1e300,1,\n-1e300,2,\n");
        let huge = all[0].numbers.expect("numbers");
        assert_eq!((huge.mean, huge.std), (None, None));
        assert_eq!((huge.min, huge.max), (-1e300, 1e300));
        assert_eq!(all[1].numbers.expect("numbers").mean, Some(1.5));
        assert_eq!(all[2], ColumnStatistics::default());
    }

    #[test]
    fn many_distinct_texts_are_not_counted() {
        let rows = |n: usize| (0..n).map(|i| format!("t{i}\n")).collect::<String>();
        let few = of(&format!("s\n{}{}", rows(MAX_DISTINCT), rows(10)));
        assert_eq!(few[0].n_distinct, Some(MAX_DISTINCT as u64));
        assert_eq!(
            of(&format!("s\n{}", rows(MAX_DISTINCT + 1)))[0].n_distinct,
            None
        );
    }
}
