//! The vocabulary: the texts of categorical features, each of which has a number.

use std::hash::BuildHasher as _;

use hashbrown::DefaultHashBuilder;
use hashbrown::hash_table::{Entry, HashTable};
use serde::{Deserialize, Serialize};

use super::schema::Schema;
use crate::error::{Error, Result, reason};
use crate::table::{ColumnView, Table, TextColumn, shortened};

/// The number of an unknown text.
pub const UNKNOWN: f64 = -1.0;

/// The most texts of a feature, and the most bytes that they may have together.
const MAX_TEXTS: usize = 50_000;
const MAX_BYTES: usize = 4 << 20;

/// The same for all features together.
const MAX_OF_ALL: Size = Size {
    n_texts: 1_000_000,
    n_bytes: 64 << 20,
};

/// The texts of one categorical feature. The number of a text is its index and never changes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct Categories {
    texts: Vec<String>,
    n_bytes: usize,
    /// The numbers of the texts, by the hashes of these.
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl PartialEq for Categories {
    fn eq(&self, other: &Self) -> bool {
        self.texts == other.texts
    }
}

impl From<Vec<String>> for Categories {
    fn from(texts: Vec<String>) -> Self {
        let mut categories = Self::default();
        categories.add(texts);
        categories
    }
}

impl From<Categories> for Vec<String> {
    fn from(categories: Categories) -> Self {
        categories.texts
    }
}

impl Categories {
    /// The number of texts.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The texts, in the order of their numbers.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    fn size(&self) -> Size {
        Size {
            n_texts: self.texts.len(),
            n_bytes: self.n_bytes,
        }
    }

    /// Adds the new texts of a column and returns their size. They are added in the order of their bytes, so that the order of
    /// the rows has no influence. Fails, naming the feature, when there would be too many.
    fn learn(&mut self, column: &TextColumn, feature: &str) -> Result<Size> {
        let new = self.new_texts(column);
        let n_bytes = self.n_bytes + new.iter().map(String::len).sum::<usize>();
        if self.len() + new.len() > MAX_TEXTS || n_bytes > MAX_BYTES {
            let message = format!(
                "feature {} has more than {MAX_TEXTS} different texts or {MAX_BYTES} bytes of them, as identifiers have; leave \
                 it out",
                shortened(feature)
            );
            return Err(Error::new(reason::UNUSABLE_ROWS, message).at("records"));
        }
        Ok(self.add(new))
    }

    /// The same, but leaves out texts that do not fit in this feature or in the room that all features share.
    fn learn_what_fits(&mut self, column: &TextColumn, room: Size) -> Size {
        let mut n_bytes = room.n_bytes.min(MAX_BYTES.saturating_sub(self.n_bytes));
        let n_texts = room.n_texts.min(MAX_TEXTS.saturating_sub(self.len()));
        let mut new = self.new_texts(column);
        new.truncate(n_texts);
        new.retain(|text| {
            let fits = text.len() <= n_bytes;
            n_bytes -= if fits { text.len() } else { 0 };
            fits
        });
        self.add(new)
    }

    fn new_texts(&self, column: &TextColumn) -> Vec<String> {
        let mut new: Vec<String> = column
            .dictionary()
            .iter()
            .filter(|text| self.number(text).is_none())
            .map(str::to_owned)
            .collect();
        new.sort_unstable();
        new
    }

    /// Adds texts and returns their size.
    fn add(&mut self, new: Vec<String>) -> Size {
        let taken = Size {
            n_texts: new.len(),
            n_bytes: new.iter().map(String::len).sum(),
        };
        self.n_bytes += taken.n_bytes;
        let Self {
            texts,
            index,
            hasher,
            ..
        } = self;
        for text in new {
            let place = index.entry(
                hasher.hash_one(text.as_str()),
                |&number| texts[number as usize] == text,
                |&number| hasher.hash_one(texts[number as usize].as_str()),
            );
            if let Entry::Vacant(place) = place {
                place.insert(texts.len() as u32);
            }
            texts.push(text);
        }
        taken
    }

    /// The number of a text, if it is known.
    fn number(&self, text: &str) -> Option<u32> {
        let is_text = |&number: &u32| self.texts[number as usize] == text;
        let found = self.index.find(self.hasher.hash_one(text), is_text);
        found.copied()
    }

    /// The number of each row's text: NaN if it is missing, [`UNKNOWN`] if it is not known.
    pub(super) fn numbers(&self, column: &TextColumn) -> Vec<f64> {
        let of_code: Vec<f64> = column
            .dictionary()
            .iter()
            .map(|text| self.number(text).map_or(UNKNOWN, f64::from))
            .collect();
        let number = |&code: &u32| of_code.get(code as usize).copied().unwrap_or(f64::NAN);
        column.codes().iter().map(number).collect()
    }

    fn is_valid(&self) -> bool {
        // a text that is there twice is indexed once
        self.len() <= MAX_TEXTS && self.index.len() == self.len()
    }
}

/// The size of texts, or the room for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    n_texts: usize,
    n_bytes: usize,
}

impl Size {
    fn checked_sub(self, other: Self) -> Option<Self> {
        Some(Self {
            n_texts: self.n_texts.checked_sub(other.n_texts)?,
            n_bytes: self.n_bytes.checked_sub(other.n_bytes)?,
        })
    }
}

/// The texts of all features in the order in which a detector sees them, `None` for a numeric feature. Empty if all are numeric.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Vocabulary(Vec<Option<Categories>>);

impl Vocabulary {
    /// The texts of a training table's categorical features, numbered in the order of their bytes.
    ///
    /// # Errors
    /// [`reason::UNUSABLE_ROWS`], naming the feature, when one has more texts than a model can hold.
    pub fn learn(schema: &Schema, table: &Table) -> Result<Self> {
        let mut vocabulary = Self::default().widened(schema);
        vocabulary.learn_more(schema, table)?;
        Ok(vocabulary.sorted())
    }

    /// Adds the texts of one of several training tables.
    ///
    /// # Errors
    /// Those of [`learn`](Self::learn).
    pub fn learn_more(&mut self, schema: &Schema, table: &Table) -> Result<()> {
        let mut room = self.room();
        for (feature, texts) in self.columns_of(schema, table) {
            let (Some(Some(categories)), Some(left)) = (self.0.get_mut(feature), room) else {
                continue;
            };
            let name = &schema.features()[schema.feature_at(feature)];
            room = left.checked_sub(categories.learn(texts, name)?);
            if room.is_none() {
                let message = format!(
                    "the text columns up to {} have more than {} different texts or {} bytes of them together; leave those \
                     out that hold identifiers",
                    shortened(name),
                    MAX_OF_ALL.n_texts,
                    MAX_OF_ALL.n_bytes
                );
                return Err(Error::new(reason::UNUSABLE_ROWS, message).at("records"));
            }
        }
        Ok(())
    }

    /// Whether there is room for the texts of a further feature.
    pub fn has_room(&self) -> bool {
        self.room()
            .is_some_and(|room| room.n_texts > 0 && room.n_bytes >= MAX_BYTES)
    }

    /// The room that is left for texts of all features together; `None` if they have too many.
    fn room(&self) -> Option<Size> {
        let mut all = self.0.iter().flatten().map(Categories::size);
        all.try_fold(MAX_OF_ALL, Size::checked_sub)
    }

    /// The same texts, numbered in the order of their bytes instead of the order in which they came.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        for categories in self.0.iter_mut().flatten() {
            let mut texts = std::mem::take(&mut categories.texts);
            texts.sort_unstable();
            *categories = Categories::from(texts);
        }
        self
    }

    /// The same texts for a schema with more features.
    #[must_use]
    pub fn widened(&self, schema: &Schema) -> Self {
        if schema.is_all_numbers() {
            return Self::default();
        }
        let categories = |(feature, is_category): (usize, bool)| {
            is_category.then(|| self.of(feature).cloned().unwrap_or_default())
        };
        Self(schema.is_category().enumerate().map(categories).collect())
    }

    /// Adds texts as far as there is room for them; the others stay unknown.
    pub fn learn_what_fits(&mut self, schema: &Schema, table: &Table) {
        let mut room = self.room();
        for (feature, texts) in self.columns_of(schema, table) {
            if let (Some(Some(categories)), Some(left)) = (self.0.get_mut(feature), room) {
                room = left.checked_sub(categories.learn_what_fits(texts, left));
            }
        }
    }

    /// The text columns of the categorical features, found by name or, in a table without names, by position.
    fn columns_of<'a>(&self, schema: &Schema, table: &'a Table) -> Vec<(usize, &'a TextColumn)> {
        let columns = schema.columns_in(table);
        let texts = |(feature, column): (usize, Option<usize>)| {
            self.of(feature)?;
            match table.column(column?) {
                ColumnView::Texts(texts) => Some((feature, texts)),
                _ => None,
            }
        };
        columns.into_iter().enumerate().filter_map(texts).collect()
    }

    /// The texts of the feature at a place, if it is categorical.
    pub fn of(&self, feature: usize) -> Option<&Categories> {
        self.0.get(feature)?.as_ref()
    }

    /// Whether it has all texts of another vocabulary with the same numbers, and possibly more.
    pub fn extends(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|texts| match texts {
                (None, None) => true,
                (Some(mine), Some(others)) => {
                    mine.is_valid() && mine.texts.starts_with(&others.texts)
                }
                _ => false,
            })
    }

    /// Whether stored texts fit the features of a schema.
    pub(super) fn is_valid(&self, schema: &Schema) -> bool {
        if schema.is_all_numbers() {
            return self.0.is_empty();
        }
        let is_category = schema.is_category();
        self.0.len() == is_category.len()
            && self.room().is_some()
            && self.0.iter().zip(is_category).all(|(texts, is_category)| {
                texts.is_some() == is_category && texts.as_ref().is_none_or(Categories::is_valid)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Roles;
    use crate::table::Column;

    fn shops(texts: &[Option<&str>]) -> (Schema, Table) {
        let columns = vec![Column::Texts(texts.iter().copied().collect())];
        let table = Table::from_columns(Some(vec!["shop".to_owned()]), columns).expect("a table");
        (
            Schema::learn(&table, &Roles::default()).expect("a schema"),
            table,
        )
    }

    #[test]
    fn numbers_do_not_depend_on_the_order_of_rows_and_never_change() {
        let (schema, table) = shops(&[Some("b"), None, Some("a"), Some("b")]);
        let learned = Vocabulary::learn(&schema, &table).expect("few");
        let (_, turned) = shops(&[Some("a"), Some("b"), Some("b"), None]);
        assert_eq!(Vocabulary::learn(&schema, &turned).expect("few"), learned);

        let mut more = learned.clone();
        let (_, table) = shops(&[Some("z"), Some("0"), Some("a")]);
        more.learn_what_fits(&schema, &table);
        let texts = |vocabulary: &Vocabulary| vocabulary.of(0).expect("texts").texts().to_vec();
        assert_eq!(texts(&learned), ["a", "b"]);
        assert_eq!(texts(&more), ["a", "b", "0", "z"]);
        assert!(more.extends(&learned) && !learned.extends(&more));
        let ColumnView::Texts(column) = table.column(0) else {
            panic!("texts");
        };
        let known = learned.of(0).expect("texts").numbers(column);
        assert_eq!(known, [UNKNOWN, UNKNOWN, 0.0]);
    }

    #[test]
    fn identifiers_are_refused() {
        let texts: Vec<String> = (0..=MAX_TEXTS).map(|i| format!("customer {i}")).collect();
        let texts: Vec<Option<&str>> = texts.iter().map(|text| Some(text.as_str())).collect();
        let (schema, table) = shops(&texts);
        let error = Vocabulary::learn(&schema, &table).expect_err("too many");
        assert!(error.message().contains("\"shop\""), "{error}");
        let mut more = Vocabulary::learn(&schema, &table.slice_rows(0..2)).expect("few");
        more.learn_what_fits(&schema, &table);
        assert_eq!(more.of(0).expect("texts").len(), MAX_TEXTS);
    }

    #[test]
    fn all_features_together_have_limited_room() {
        let n_columns = MAX_OF_ALL.n_bytes / MAX_BYTES + 1;
        let long = |i: usize| format!("{i}{}", "x".repeat(MAX_BYTES - 9));
        let column =
            |i: usize| Column::Texts([Some(long(i).as_str()), Some("a")].into_iter().collect());
        let names: Vec<String> = (0..n_columns).map(|i| format!("c{i:02}")).collect();
        let columns = (0..n_columns).map(column).collect();
        let table = Table::from_columns(Some(names), columns).expect("a table");
        let schema = Schema::learn(&table, &Roles::default()).expect("a schema");
        let error = Vocabulary::learn(&schema, &table).expect_err("too much");
        assert!(error.message().contains("up to \"c16\""), "{error}");
        let mut fitting = Vocabulary::default().widened(&schema);
        fitting.learn_what_fits(&schema, &table);
        assert!(fitting.is_valid(&schema));
        let n_texts = |feature: usize| fitting.of(feature).expect("texts").len();
        assert_eq!((n_texts(0), n_texts(n_columns - 1)), (2, 1));
    }
}
