//! The cells of a column whose type is inferred while they are read.

use crate::error::Result;
use crate::table::{Column, ColumnType, TextBuilder};

/// The type of a column as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Every cell so far was missing.
    Unknown,
    /// Only booleans.
    Boolean,
    /// Numbers, and booleans as 0 and 1.
    Number,
    /// Text.
    Text,
}

impl Kind {
    /// The kind of a column whose type is known.
    pub(super) fn of(column_type: ColumnType) -> Self {
        match column_type {
            ColumnType::Number => Self::Number,
            ColumnType::Boolean => Self::Boolean,
            ColumnType::Text | ColumnType::Timestamp => Self::Text,
        }
    }

    /// The type of a column whose cells are all of this kind.
    pub(super) fn column_type(self) -> ColumnType {
        match self {
            Self::Unknown | Self::Number => ColumnType::Number,
            Self::Boolean => ColumnType::Boolean,
            Self::Text => ColumnType::Text,
        }
    }
}

/// The cells of a column so far.
#[derive(Debug, Clone)]
pub(super) struct Cells {
    kind: Kind,
    /// One for each row, unless the column is text.
    numbers: Vec<f64>,
    texts: TextBuilder,
}

impl Cells {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            numbers: Vec::new(),
            texts: TextBuilder::default(),
        }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn len(&self) -> usize {
        match self.kind {
            Kind::Text => self.texts.len(),
            _ => self.numbers.len(),
        }
    }

    /// Appends a number to a column that is not text.
    #[inline]
    pub(super) fn push_number(&mut self, number: f64) {
        debug_assert_ne!(self.kind, Kind::Text);
        if self.kind != Kind::Number && !number.is_nan() {
            self.kind = Kind::Number;
        }
        self.numbers.push(number);
    }

    /// Appends a boolean to a column that is not text.
    pub(super) fn push_boolean(&mut self, boolean: bool) {
        debug_assert_ne!(self.kind, Kind::Text);
        if self.kind == Kind::Unknown {
            self.kind = Kind::Boolean;
        }
        self.numbers.push(f64::from(u8::from(boolean)));
    }

    /// Appends text to a column of text or of unknown type.
    pub(super) fn push_text(&mut self, text: &str) -> Result<()> {
        debug_assert!(matches!(self.kind, Kind::Unknown | Kind::Text));
        self.become_text();
        self.texts.push(text)
    }

    pub(super) fn push_missing(&mut self, n_rows: usize) {
        match self.kind {
            Kind::Text => self.texts.push_missing(n_rows),
            _ => self.numbers.resize(self.numbers.len() + n_rows, f64::NAN),
        }
    }

    /// Whether cells that follow in the file have a type that fits these.
    pub(super) fn accepts(&self, next: Kind) -> bool {
        match (self.kind, next) {
            (Kind::Unknown, _) | (_, Kind::Unknown) => true,
            (kind, next) => (kind == Kind::Text) == (next == Kind::Text),
        }
    }

    /// Appends the cells that follow in a file, which must be [accepted](Self::accepts).
    pub(super) fn append(&mut self, next: Self) -> Result<()> {
        debug_assert!(self.accepts(next.kind));
        match next.kind {
            Kind::Unknown => self.push_missing(next.len()),
            Kind::Text => {
                self.become_text();
                if self.texts.is_empty() {
                    self.texts = next.texts;
                } else {
                    self.texts.extend(&next.texts.finish())?;
                }
            }
            Kind::Boolean | Kind::Number => {
                if self.kind != Kind::Number {
                    self.kind = next.kind;
                }
                if self.numbers.is_empty() {
                    self.numbers = next.numbers;
                } else {
                    self.numbers.extend_from_slice(&next.numbers);
                }
            }
        }
        Ok(())
    }

    /// The same cells with rows without a value in between: `gaps.1` such rows after `gaps.0` cells, for each gap.
    pub(super) fn with_gaps(self, gaps: &[(usize, usize)]) -> Result<Self> {
        if gaps.is_empty() {
            return Ok(self);
        }
        let mut filled = Self::new(self.kind);
        let texts = self.texts.finish();
        let mut from = 0;
        for &(at, n_missing) in gaps.iter().chain(&[(usize::MAX, 0)]) {
            if self.kind == Kind::Text {
                let to = at.min(texts.len());
                for row in from..to {
                    match texts.get(row) {
                        Some(text) => filled.texts.push(text)?,
                        None => filled.texts.push_missing(1),
                    }
                }
                from = to;
            } else {
                let to = at.min(self.numbers.len());
                filled.numbers.extend_from_slice(&self.numbers[from..to]);
                from = to;
            }
            filled.push_missing(n_missing);
        }
        Ok(filled)
    }

    pub(super) fn n_missing(&self) -> usize {
        match self.kind {
            Kind::Text => self.texts.n_missing(),
            _ => self.numbers.iter().filter(|number| number.is_nan()).count(),
        }
    }

    /// Takes the cells as a column; later cells are of the same kind.
    pub(super) fn take(&mut self) -> Column {
        let taken = std::mem::replace(self, Self::new(self.kind));
        match taken.kind {
            Kind::Unknown | Kind::Number => Column::Numbers(taken.numbers),
            Kind::Boolean => Column::Booleans(taken.numbers),
            Kind::Text => Column::Texts(taken.texts.finish()),
        }
    }

    fn become_text(&mut self) {
        if self.kind == Kind::Unknown {
            self.kind = Kind::Text;
            self.texts.push_missing(self.numbers.len());
            self.numbers = Vec::new();
        }
    }
}
