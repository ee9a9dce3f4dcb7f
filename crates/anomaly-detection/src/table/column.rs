//! Columns of one type each.

use std::fmt;
use std::ops::Range;

use ndarray::ArrayView1;
use serde::{Deserialize, Serialize};

use super::text::TextColumn;

/// The value of a missing time in a column of times.
pub const MISSING_TIME: i64 = i64::MIN;

/// A column: one value for each row.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// Numbers; NaN is a missing one, and infinite ones are kept.
    Numbers(Vec<f64>),
    /// 1 for true, 0 for false, NaN for a missing value.
    Booleans(Vec<f64>),
    /// Text.
    Texts(TextColumn),
    /// Nanoseconds since the Unix epoch in UTC; [`MISSING_TIME`] for a missing value.
    Times(Vec<i64>),
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ColumnType {
    /// Numbers.
    Number,
    /// Booleans.
    Boolean,
    /// Text.
    Text,
    /// Timestamps.
    Timestamp,
}

/// A view of the n values of a column.
#[derive(Debug, Clone, Copy)]
pub enum ColumnView<'a> {
    /// Numbers; NaN is a missing one.
    Numbers(ArrayView1<'a, f64>),
    /// 1, 0 or NaN.
    Booleans(ArrayView1<'a, f64>),
    /// Text.
    Texts(&'a TextColumn),
    /// Nanoseconds since the Unix epoch in UTC, or [`MISSING_TIME`].
    Times(&'a [i64]),
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Text => "text",
            Self::Timestamp => "timestamp",
        })
    }
}

impl Column {
    /// The number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(values) | Self::Booleans(values) => values.len(),
            Self::Texts(texts) => texts.len(),
            Self::Times(times) => times.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The memory of the values in bytes.
    pub fn n_bytes(&self) -> usize {
        match self {
            Self::Numbers(values) | Self::Booleans(values) => values.len() * size_of::<f64>(),
            Self::Texts(texts) => texts.n_bytes(),
            Self::Times(times) => times.len() * size_of::<i64>(),
        }
    }

    /// The type of the column.
    pub fn column_type(&self) -> ColumnType {
        match self {
            Self::Numbers(_) => ColumnType::Number,
            Self::Booleans(_) => ColumnType::Boolean,
            Self::Texts(_) => ColumnType::Text,
            Self::Times(_) => ColumnType::Timestamp,
        }
    }

    /// The number of rows without a value.
    pub fn n_missing(&self) -> usize {
        match self {
            Self::Numbers(values) | Self::Booleans(values) => {
                values.iter().filter(|value| value.is_nan()).count()
            }
            Self::Texts(texts) => texts.n_missing(),
            Self::Times(times) => times.iter().filter(|&&time| time == MISSING_TIME).count(),
        }
    }

    /// A view of the values.
    pub fn view(&self) -> ColumnView<'_> {
        match self {
            Self::Numbers(values) => ColumnView::Numbers(ArrayView1::from(values)),
            Self::Booleans(values) => ColumnView::Booleans(ArrayView1::from(values)),
            Self::Texts(texts) => ColumnView::Texts(texts),
            Self::Times(times) => ColumnView::Times(times),
        }
    }

    /// The rows of a range.
    pub(super) fn slice(&self, rows: Range<usize>) -> Self {
        match self {
            Self::Numbers(values) => Self::Numbers(values[rows].to_vec()),
            Self::Booleans(values) => Self::Booleans(values[rows].to_vec()),
            Self::Texts(texts) => Self::Texts(texts.select(rows)),
            Self::Times(times) => Self::Times(times[rows].to_vec()),
        }
    }

    /// The rows with these indices.
    pub(super) fn select(&self, rows: &[usize]) -> Self {
        fn chosen<T: Copy>(values: &[T], rows: &[usize]) -> Vec<T> {
            rows.iter().map(|&row| values[row]).collect()
        }
        match self {
            Self::Numbers(values) => Self::Numbers(chosen(values, rows)),
            Self::Booleans(values) => Self::Booleans(chosen(values, rows)),
            Self::Texts(texts) => Self::Texts(texts.select(rows.iter().copied())),
            Self::Times(times) => Self::Times(chosen(times, rows)),
        }
    }
}
