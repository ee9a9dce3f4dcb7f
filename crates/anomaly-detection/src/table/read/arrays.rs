//! Turns Arrow arrays into columns.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::cast::AsArray as _;
use arrow_array::types as t;
use arrow_array::{Array, ArrowPrimitiveType, BinaryViewArray, downcast_integer_array};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use hashbrown::{HashMap, HashSet};

use super::{Limits, names};
use crate::error::{Error, Result, panic_message};
use crate::table::{Column, ColumnType, MISSING_TIME, TextBuilder, TextColumn, invalid, shortened};

/// The names and types of the columns of a file.
///
/// Fails when there are too many columns, when their names are empty or repeated, or when one cannot be read.
pub(super) fn columns_of(schema: &Schema) -> Result<(Vec<String>, Vec<ColumnType>)> {
    let fields = schema.fields();
    names::check("", fields.iter().map(|field| field.name().as_str()))?;
    let types = fields
        .iter()
        .map(|field| column_type(field))
        .collect::<Result<_>>()?;
    let names = fields.iter().map(|field| field.name().clone()).collect();
    Ok((names, types))
}

fn column_type(field: &Field) -> Result<ColumnType> {
    let values = match field.data_type() {
        DataType::Dictionary(_, values) => values,
        other => other,
    };
    Ok(match values {
        DataType::Boolean => ColumnType::Boolean,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => ColumnType::Text,
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _) => ColumnType::Timestamp,
        // its type is unknown, but every value is missing
        DataType::Null | DataType::Float16 => ColumnType::Number,
        other if other.is_numeric() => ColumnType::Number,
        other => {
            let shown: String = other.to_string().chars().take(100).collect();
            return Err(invalid(format!(
                "column {} has the type {shown}; only numbers, booleans, text, dates and timestamps can be read",
                shortened(field.name())
            )));
        }
    })
}

/// Runs a library on foreign bytes. Its errors and its panics become errors of the file.
pub(super) fn guarded<T, E: std::fmt::Display>(
    format: &str,
    run: impl FnOnce() -> Result<T, E>,
) -> Result<T> {
    unpanicked(format, || {
        run().map_err(|error| invalid(format!("the file is no valid {format}: {error}")))
    })
}

/// Runs code on the arrays of a library. A panic becomes an error of the file.
pub(super) fn unpanicked<T>(format: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    // state that a panic leaves inconsistent is dropped with its reader
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let message = panic_message(&*panic);
        Err(invalid(format!("the file is no valid {format}: {message}")))
    })
}

/// Views hold texts of up to so many bytes themselves.
const INLINE: u32 = 12;

/// A column that is built from one array after the other.
#[derive(Debug)]
pub(super) enum ColumnBuilder {
    Numbers(Vec<f64>),
    Booleans(Vec<f64>),
    Texts(TextBuilder, usize),
    Times(Vec<i64>),
}

impl ColumnBuilder {
    pub(super) fn new(column_type: ColumnType, limits: Limits) -> Self {
        match column_type {
            ColumnType::Number => Self::Numbers(Vec::new()),
            ColumnType::Boolean => Self::Booleans(Vec::new()),
            ColumnType::Text => {
                let limit = usize::try_from(limits.decompressed_bytes).unwrap_or(usize::MAX);
                Self::Texts(TextBuilder::with_limit(limit), limit)
            }
            ColumnType::Timestamp => Self::Times(Vec::new()),
        }
    }

    /// The bytes of the distinct texts so far.
    pub(super) fn text_bytes(&self) -> usize {
        match self {
            Self::Texts(texts, _) => texts.distinct_bytes(),
            _ => 0,
        }
    }

    /// Takes the rows so far; later rows begin a new column.
    pub(super) fn take(&mut self) -> Column {
        match self {
            Self::Numbers(values) => Column::Numbers(std::mem::take(values)),
            Self::Booleans(values) => Column::Booleans(std::mem::take(values)),
            Self::Texts(texts, limit) => {
                let empty = TextBuilder::with_limit(*limit);
                Column::Texts(std::mem::replace(texts, empty).finish())
            }
            Self::Times(times) => Column::Times(std::mem::take(times)),
        }
    }

    /// Appends the values of an array of the column's type.
    pub(super) fn append(&mut self, array: &dyn Array) -> Result<()> {
        if matches!(array.data_type(), DataType::Dictionary(_, _)) {
            return self.append_dictionary(array);
        }
        match self {
            Self::Numbers(values) => append_numbers(values, array),
            Self::Booleans(values) => {
                let booleans = array.as_boolean().iter();
                values.extend(booleans.map(|b| b.map_or(f64::NAN, |b| f64::from(u8::from(b)))));
                Ok(())
            }
            Self::Texts(texts, _) => append_texts(texts, array),
            Self::Times(times) => append_times(times, array),
        }
    }

    fn append_dictionary(&mut self, array: &dyn Array) -> Result<()> {
        let array = array.as_any_dictionary();
        let values = array.values();
        let keys = keys_of(array.keys());
        match self {
            Self::Texts(texts, _) => {
                let mut distinct = TextBuilder::default();
                append_texts(&mut distinct, values)?;
                let distinct = distinct.finish();
                // only strings that rows use are added to the dictionary, in the order of the rows
                let mut codes = vec![None; values.len()];
                for key in keys {
                    let code = match key.and_then(|key| Some((distinct.get(key)?, &mut codes[key])))
                    {
                        None => TextColumn::MISSING,
                        Some((_, Some(code))) => *code,
                        Some((text, unknown)) => *unknown.insert(texts.code(text)?),
                    };
                    texts.push_code(code);
                }
            }
            Self::Times(times) => {
                let mut distinct = Vec::new();
                append_times(&mut distinct, values)?;
                times.extend(keys.map(|key| key.map_or(MISSING_TIME, |key| distinct[key])));
            }
            Self::Numbers(numbers) => {
                let mut distinct = Vec::new();
                append_numbers(&mut distinct, values)?;
                numbers.extend(keys.map(|key| key.map_or(f64::NAN, |key| distinct[key])));
            }
            Self::Booleans(booleans) => {
                let distinct = values.as_boolean();
                booleans.extend(keys.map(|key| match key {
                    Some(key) if distinct.is_valid(key) => f64::from(u8::from(distinct.value(key))),
                    _ => f64::NAN,
                }));
            }
        }
        Ok(())
    }
}

/// The most bytes of texts that appending an array takes. Several arrays can share what their texts are read from, and views can
/// overlap.
pub(super) fn text_bytes(array: &dyn Array) -> usize {
    fn span<N: Copy + Into<i64>>(offsets: &[N]) -> usize {
        let ends = offsets.first().zip(offsets.last());
        let n_bytes = ends.map_or(0, |(&first, &last)| last.into() - first.into());
        usize::try_from(n_bytes).unwrap_or(0)
    }
    match array.data_type() {
        DataType::Utf8 => span(array.as_string::<i32>().value_offsets()),
        DataType::LargeUtf8 => span(array.as_string::<i64>().value_offsets()),
        DataType::Utf8View => {
            let views = array.as_string_view().views().iter().enumerate();
            let mut counted = HashSet::new();
            let distinct = views.filter(|(row, view)| {
                array.is_valid(*row) && (**view as u32 <= INLINE || counted.insert(**view))
            });
            distinct.fold(0, |n_bytes, (_, &view)| {
                n_bytes.saturating_add(view as u32 as usize)
            })
        }
        // all its texts are looked up by themselves first
        DataType::Dictionary(_, _) => {
            text_bytes(array.as_any_dictionary().values().as_ref()).saturating_mul(2)
        }
        _ => 0,
    }
}

/// The keys of a dictionary array, `None` for missing ones. The array has checked that they are in range.
fn keys_of(keys: &dyn Array) -> impl Iterator<Item = Option<usize>> + '_ {
    let all: Vec<usize> = downcast_integer_array!(
        keys => keys.values().iter().map(|&key| key as usize).collect(),
        _ => Vec::new()
    );
    all.into_iter()
        .enumerate()
        .map(|(row, key)| keys.is_valid(row).then_some(key))
}

/// Appends a value for each row: `convert` of its value, or `missing`.
fn extend<T: ArrowPrimitiveType, V: Copy>(
    to: &mut Vec<V>,
    array: &dyn Array,
    missing: V,
    convert: impl Fn(T::Native) -> V,
) {
    let array = array.as_primitive::<T>();
    let first = to.len();
    to.extend(array.values().iter().map(|&value| convert(value)));
    if let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) {
        for (value, is_valid) in to[first..].iter_mut().zip(nulls) {
            if !is_valid {
                *value = missing;
            }
        }
    }
}

fn append_numbers(to: &mut Vec<f64>, array: &dyn Array) -> Result<()> {
    macro_rules! numbers {
        ($type:ty) => {
            extend::<$type, f64>(to, array, f64::NAN, |value| value as f64)
        };
        ($type:ty, $scale:expr) => {{
            let scale = i32::from(*$scale);
            extend::<$type, f64>(to, array, f64::NAN, |value| decimal(value.into(), scale))
        }};
    }
    match array.data_type() {
        DataType::Float64 => numbers!(t::Float64Type),
        DataType::Float32 => numbers!(t::Float32Type),
        DataType::Float16 => {
            extend::<t::Float16Type, f64>(to, array, f64::NAN, |value| value.to_f64());
        }
        DataType::Int8 => numbers!(t::Int8Type),
        DataType::Int16 => numbers!(t::Int16Type),
        DataType::Int32 => numbers!(t::Int32Type),
        DataType::Int64 => numbers!(t::Int64Type),
        DataType::UInt8 => numbers!(t::UInt8Type),
        DataType::UInt16 => numbers!(t::UInt16Type),
        DataType::UInt32 => numbers!(t::UInt32Type),
        DataType::UInt64 => numbers!(t::UInt64Type),
        DataType::Decimal32(_, scale) => numbers!(t::Decimal32Type, scale),
        DataType::Decimal64(_, scale) => numbers!(t::Decimal64Type, scale),
        DataType::Decimal128(_, scale) => numbers!(t::Decimal128Type, scale),
        DataType::Decimal256(_, scale) => {
            let scale = i32::from(*scale);
            extend::<t::Decimal256Type, f64>(to, array, f64::NAN, |value| match value.to_i128() {
                Some(value) => decimal(value, scale),
                None => decimal_text(&value.to_string(), scale),
            });
        }
        DataType::Null => to.resize(to.len() + array.len(), f64::NAN),
        other => return Err(unexpected(other)),
    }
    Ok(())
}

/// `value / 10^scale`, rounded once.
fn decimal(value: i128, scale: i32) -> f64 {
    const EXACT: i128 = 1 << f64::MANTISSA_DIGITS;
    if (0..=22).contains(&scale) && (-EXACT..=EXACT).contains(&value) {
        value as f64 / 10_f64.powi(scale)
    } else {
        decimal_text(&value.to_string(), scale)
    }
}

fn decimal_text(digits: &str, scale: i32) -> f64 {
    fast_float2::parse(format!("{digits}e{}", -scale)).unwrap_or(f64::NAN)
}

fn append_texts(to: &mut TextBuilder, array: &dyn Array) -> Result<()> {
    let mut push = |text: Option<&str>| match text {
        Some(text) => to.push(text),
        None => {
            to.push_missing(1);
            Ok(())
        }
    };
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().iter().try_for_each(&mut push),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().try_for_each(&mut push),
        DataType::Utf8View => append_views(to, &array.as_string_view().clone().to_binary_view()),
        DataType::Null => {
            to.push_missing(array.len());
            Ok(())
        }
        other => Err(unexpected(other)),
    }
}

/// Many views may point at one long string, which is looked up only once. Each string is checked to be UTF-8 by itself, even if
/// the buffer as a whole has been checked.
fn append_views(to: &mut TextBuilder, array: &BinaryViewArray) -> Result<()> {
    let mut codes: HashMap<u128, u32> = HashMap::new();
    let text = |row: usize| {
        str::from_utf8(array.value(row)).map_err(|_| {
            invalid(format!(
                "the text in row {row} of a batch is not UTF-8; encode it so"
            ))
        })
    };
    for (row, &view) in array.views().iter().enumerate() {
        let code = if array.is_null(row) {
            TextColumn::MISSING
        } else if view as u32 <= INLINE {
            to.code(text(row)?)?
        } else {
            match codes.get(&view) {
                Some(&code) => code,
                None => {
                    let code = to.code(text(row)?)?;
                    codes.insert(view, code);
                    code
                }
            }
        };
        to.push_code(code);
    }
    Ok(())
}

fn append_times(to: &mut Vec<i64>, array: &dyn Array) -> Result<()> {
    const SECOND: i64 = 1_000_000_000;
    let first = to.len();
    let unit = match array.data_type() {
        DataType::Date32 => 86_400 * SECOND,
        DataType::Date64 | DataType::Timestamp(TimeUnit::Millisecond, _) => SECOND / 1_000,
        DataType::Timestamp(TimeUnit::Second, _) => SECOND,
        DataType::Timestamp(TimeUnit::Microsecond, _) => SECOND / 1_000_000,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => 1,
        other => return Err(unexpected(other)),
    };
    match array.data_type() {
        DataType::Date32 => extend::<t::Date32Type, i64>(to, array, MISSING_TIME, i64::from),
        DataType::Date64 => extend::<t::Date64Type, i64>(to, array, MISSING_TIME, |time| time),
        DataType::Timestamp(TimeUnit::Second, _) => {
            extend::<t::TimestampSecondType, i64>(to, array, MISSING_TIME, |time| time);
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            extend::<t::TimestampMillisecondType, i64>(to, array, MISSING_TIME, |time| time);
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            extend::<t::TimestampMicrosecondType, i64>(to, array, MISSING_TIME, |time| time);
        }
        _ => extend::<t::TimestampNanosecondType, i64>(to, array, MISSING_TIME, |time| time),
    }
    for (row, time) in to[first..].iter_mut().enumerate() {
        if *time != MISSING_TIME {
            *time = time.checked_mul(unit).ok_or_else(|| {
                invalid(format!(
                    "the time in row {row} of a batch is outside of the years 1677 to 2262, which nanoseconds can tell; correct it or make it null"
                ))
            })?;
        }
    }
    Ok(())
}

/// The error for an array whose type is not that of its column.
fn unexpected(found: &DataType) -> Error {
    invalid(format!("a column holds {found} unexpectedly"))
}

/// An error about an array of a column.
pub(super) fn in_column(error: Error, name: &str) -> Error {
    error.during(&format!("column {}", shortened(name)))
}

#[cfg(test)]
mod tests {
    use arrow_array::builder::StringViewBuilder;
    use arrow_array::{DictionaryArray, StringArray};

    use super::*;

    #[test]
    fn every_text_is_utf8_by_itself() {
        let e = "é and more than twelve bytes".as_bytes();
        let sound = BinaryViewArray::from_iter([Some(e), None, Some(b"x")]);
        let mut texts = TextBuilder::default();
        append_views(&mut texts, &sound).expect("texts");
        let texts = texts.finish();
        assert_eq!(texts.get(0).map(str::as_bytes), Some(e));
        assert_eq!((texts.get(1), texts.get(2)), (None, Some("x")));
        // together they would be
        for parts in [[&e[..1], &e[1..]], [&e[..1], b"\xa9"]] {
            let parts = BinaryViewArray::from_iter_values(parts);
            let error = append_views(&mut TextBuilder::default(), &parts);
            assert_eq!(
                error.expect_err("half a character").message(),
                "the text in row 0 of a batch is not UTF-8; encode it so"
            );
        }
    }

    #[test]
    fn texts_count_as_often_as_they_are_copied() {
        let texts = ["short", "more than twelve bytes", "more than twelve bytes"];
        let plain = StringArray::from(texts.to_vec());
        assert_eq!(text_bytes(&plain), 5 + 22 + 22);
        assert_eq!(text_bytes(&plain.slice(1, 1)), 22);
        // three views of the same bytes, two of which are equal
        let buffer = arrow_buffer::Buffer::from(texts[1].as_bytes());
        let mut views = StringViewBuilder::new().with_fixed_block_size(64);
        let block = views.append_block(buffer);
        for length in [22, 22, 13] {
            views
                .try_append_view(block, 0, length)
                .expect("in the block");
        }
        views.append_null();
        assert_eq!(text_bytes(&views.finish()), 22 + 13);
        let dictionary: DictionaryArray<t::Int8Type> = texts.into_iter().collect();
        assert_eq!(text_bytes(&dictionary), 2 * (5 + 22));
    }

    #[test]
    fn a_panic_of_a_library_is_an_error_of_the_file() {
        let fails = || -> Result<(), String> { Err("too short".to_owned()) };
        let panics = || -> Result<(), String> { panic!("out of {}", "range") };
        for (run, why) in [
            (guarded("Parquet", fails), "too short"),
            (guarded("Parquet", panics), "out of range"),
        ] {
            assert_eq!(
                run.expect_err("it fails").message(),
                format!("the file is no valid Parquet: {why}")
            );
        }
    }
}
