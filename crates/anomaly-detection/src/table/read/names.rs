//! The names of columns.

use std::collections::HashMap;

use super::MAX_COLUMNS;
use crate::error::Result;
use crate::table::{invalid, shortened};

/// Fails when there are no names or too many, or when one is empty or repeated. The message starts with `place`.
pub(super) fn check<'a>(place: &str, names: impl ExactSizeIterator<Item = &'a str>) -> Result<()> {
    if names.len() == 0 {
        return Err(invalid(format!("{place}there are no columns")));
    }
    check_count(place, names.len())?;
    let mut seen = HashMap::with_capacity(names.len());
    for (index, name) in names.enumerate() {
        if name.is_empty() {
            return Err(invalid(format!(
                "{place}column {index} has an empty name; name every column"
            )));
        }
        if let Some(first) = seen.insert(name, index) {
            return Err(invalid(format!(
                "{place}columns {first} and {index} are both named {}; names must be unique",
                shortened(name)
            )));
        }
    }
    Ok(())
}

/// Fails when there are more columns than a file may have.
pub(super) fn check_count(place: &str, n_columns: usize) -> Result<()> {
    if n_columns > MAX_COLUMNS {
        return Err(invalid(format!(
            "{place}there are more than {MAX_COLUMNS} columns"
        )));
    }
    Ok(())
}
