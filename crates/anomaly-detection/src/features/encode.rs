//! Encoding: categories become numeric columns for a detector.

use std::ops::Range;

use ndarray::{Array2, Axis, CowArray, Ix2};
use serde::{Deserialize, Serialize};

use super::category_counts::CategoryCounts;
use super::schema::MAX_COLUMNS;
use super::vocabulary::Vocabulary;
use crate::error::{Error, Result, reason};

/// The default for the most categories of a feature that get a column each.
pub const DEFAULT_MAX_ONE_HOT: usize = 16;

/// How a feature is encoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// The number itself.
    Number,
    /// A column for each category and one for all unknown ones: 1 in the column of the row's category, 0 in the others.
    OneHot {
        /// How many categories are known.
        n_categories: usize,
    },
    /// The share of the training rows with the category; 0 for an unknown one.
    Frequency {
        /// The share of each category.
        #[serde(with = "crate::le_bytes")]
        shares: Vec<f64>,
    },
}

impl Encoding {
    /// How many columns the feature becomes.
    fn width(&self) -> usize {
        match self {
            Self::Number | Self::Frequency { .. } => 1,
            Self::OneHot { n_categories } => n_categories + 1,
        }
    }
}

/// How all features are encoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Encoder {
    encodings: Vec<Encoding>,
}

impl Encoder {
    /// An encoder of numeric features only.
    pub fn of_numbers(n_features: usize) -> Self {
        Self {
            encodings: vec![Encoding::Number; n_features],
        }
    }

    /// Learns the encoding of rows of `n_raw` values, some of which are numbers of texts in the vocabulary. The categories of a
    /// feature that has at most `max_one_hot` get a column each.
    ///
    /// # Errors
    /// [`reason::UNUSABLE_ROWS`] when there would be more columns than a detector can learn from.
    pub(crate) fn learn(
        n_raw: usize,
        counts: &CategoryCounts,
        vocabulary: &Vocabulary,
        max_one_hot: usize,
    ) -> Result<Self> {
        let encoding = |feature: usize| match vocabulary.of(feature) {
            None => Encoding::Number,
            Some(categories) if categories.len() <= max_one_hot => Encoding::OneHot {
                n_categories: categories.len(),
            },
            Some(_) => Encoding::Frequency {
                shares: counts.shares(feature),
            },
        };
        let encoder = Self {
            encodings: (0..n_raw).map(encoding).collect(),
        };
        let n_columns = encoder.n_columns();
        if n_columns > MAX_COLUMNS {
            let message = format!(
                "the features make {n_columns} columns once texts are encoded, and at most {MAX_COLUMNS} can be learned; lower \
                 max_one_hot_categories, or leave features out"
            );
            return Err(Error::new(reason::UNUSABLE_ROWS, message).at("records"));
        }
        Ok(encoder)
    }

    /// How each feature is encoded.
    pub fn encodings(&self) -> &[Encoding] {
        &self.encodings
    }

    /// The number of encoded columns.
    pub fn n_columns(&self) -> usize {
        self.encodings.iter().map(Encoding::width).sum()
    }

    /// The range of encoded columns of each feature.
    pub(super) fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        let mut end = 0;
        self.encodings.iter().map(move |encoding| {
            let start = end;
            end += encoding.width();
            start..end
        })
    }

    fn is_identity(&self) -> bool {
        self.encodings
            .iter()
            .all(|encoding| *encoding == Encoding::Number)
    }

    /// The names of the encoded columns, given those of the features: `shop=kiosk`, `shop=<unknown>`.
    pub fn names(&self, features: &[String], vocabulary: &Vocabulary) -> Vec<String> {
        let mut names = Vec::with_capacity(self.n_columns());
        for (feature, (name, encoding)) in features.iter().zip(&self.encodings).enumerate() {
            match (encoding, vocabulary.of(feature)) {
                (Encoding::OneHot { n_categories }, Some(categories)) => {
                    let known = &categories.texts()[..*n_categories];
                    names.extend(known.iter().map(|text| format!("{name}={text}")));
                    names.push(format!("{name}=<unknown>"));
                }
                _ => names.push(name.clone()),
            }
        }
        names
    }

    /// Encodes rows, n x p; missing values stay missing. Borrows the rows if all features are numeric.
    pub fn encode<'a>(&self, rows: CowArray<'a, f64, Ix2>) -> CowArray<'a, f64, Ix2> {
        if self.is_identity() {
            return rows;
        }
        let mut encoded = Array2::zeros((rows.nrows(), self.n_columns()));
        for (row, mut out) in rows.axis_iter(Axis(0)).zip(encoded.rows_mut()) {
            let mut first = 0;
            for (&value, encoding) in row.iter().zip(&self.encodings) {
                match encoding {
                    Encoding::Number => out[first] = value,
                    Encoding::OneHot { n_categories } if value.is_nan() => {
                        (first..=first + n_categories).for_each(|column| out[column] = f64::NAN);
                    }
                    Encoding::OneHot { n_categories } => {
                        out[first + number(value).min(*n_categories)] = 1.0;
                    }
                    Encoding::Frequency { .. } if value.is_nan() => out[first] = f64::NAN,
                    Encoding::Frequency { shares } => {
                        out[first] = shares.get(number(value)).copied().unwrap_or(0.0);
                    }
                }
                first += encoding.width();
            }
        }
        CowArray::from(encoded)
    }

    /// Whether a stored encoder fits this number of features and vocabulary.
    pub(super) fn is_valid(&self, n_features: usize, vocabulary: &Vocabulary) -> bool {
        self.encodings.len() == n_features
            && self
                .encodings
                .iter()
                .enumerate()
                .all(
                    |(feature, encoding)| match (encoding, vocabulary.of(feature)) {
                        (Encoding::Number, None) => true,
                        (Encoding::OneHot { n_categories }, Some(categories)) => {
                            *n_categories == categories.len()
                        }
                        (Encoding::Frequency { shares }, Some(categories)) => {
                            shares.len() == categories.len()
                                && shares.iter().all(|share| (0.0..=1.0).contains(share))
                        }
                        _ => false,
                    },
                )
    }
}

/// The index of a category; out of range for an unknown one.
fn number(value: f64) -> usize {
    if value >= 0.0 {
        value as usize
    } else {
        usize::MAX
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::features::vocabulary::UNKNOWN;
    use crate::features::{Roles, Schema};
    use crate::table::{Column, Table, TextColumn};

    fn vocabulary(texts: &[&str]) -> Vocabulary {
        let shops: TextColumn = texts.iter().map(|text| Some(*text)).collect();
        let columns = vec![
            Column::Numbers(vec![0.0; texts.len()]),
            Column::Texts(shops),
        ];
        let names = ["amount", "shop"].map(str::to_owned).to_vec();
        let table = Table::from_columns(Some(names), columns).expect("a table");
        let schema = Schema::learn(&table, &Roles::default()).expect("a schema");
        Vocabulary::learn(&schema, &table).expect("few texts")
    }

    #[test]
    fn few_categories_are_one_hot_encoded_with_a_column_for_unknown_ones() {
        let vocabulary = vocabulary(&["b", "a"]);
        let rows = array![
            [7.0, 0.0],
            [8.0, 1.0],
            [9.0, UNKNOWN],
            [1.0, f64::NAN],
            [2.0, 5.0]
        ];
        let mut counts = CategoryCounts::default();
        counts.add(rows.view(), &vocabulary);
        let encoder = Encoder::learn(2, &counts, &vocabulary, 2).expect("few");
        let names = encoder.names(&["amount".to_owned(), "shop".to_owned()], &vocabulary);
        assert_eq!(names, ["amount", "shop=a", "shop=b", "shop=<unknown>"]);
        let encoded = encoder.encode(CowArray::from(rows.view()));
        assert_eq!(encoded.row(0).to_vec(), [7.0, 1.0, 0.0, 0.0]);
        assert_eq!(encoded.row(1).to_vec(), [8.0, 0.0, 1.0, 0.0]);
        assert_eq!(encoded.row(2).to_vec(), [9.0, 0.0, 0.0, 1.0]);
        assert!(encoded.row(3).iter().skip(1).all(|value| value.is_nan()));
        assert_eq!(encoded.row(4).to_vec(), [2.0, 0.0, 0.0, 1.0]);
        assert!(encoder.is_valid(2, &vocabulary) && !encoder.is_valid(3, &vocabulary));
    }

    #[test]
    fn many_categories_are_encoded_by_their_frequency() {
        let vocabulary = vocabulary(&["a", "b", "c"]);
        let rows = array![
            [0.0, 0.0],
            [0.0, 0.0],
            [0.0, 2.0],
            [0.0, 1.0],
            [0.0, f64::NAN]
        ];
        let mut counts = CategoryCounts::default();
        counts.add(rows.view(), &vocabulary);
        let encoder = Encoder::learn(2, &counts, &vocabulary, 2).expect("few");
        let encoded = encoder.encode(CowArray::from(rows.view()));
        assert_eq!(encoded.column(1).to_vec()[..4], [0.5, 0.5, 0.25, 0.25]);
        assert!(encoded[[4, 1]].is_nan());
        let unknown = encoder.encode(CowArray::from(array![[0.0, UNKNOWN]]));
        assert_eq!(unknown[[0, 1]], 0.0);
    }
}
