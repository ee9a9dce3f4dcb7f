//! Column names: which are valid, and how error messages list and suggest them.

use std::collections::HashMap;

use crate::error::{Error, Place, PlacedColumn, Result, reason};
use crate::table::{Table, shortened};

/// The most names that an error message lists.
const MAX_NAMED: usize = 5;

/// The longest name of a column, in bytes. Answers may repeat names row by row.
const MAX_NAME_BYTES: usize = 256;

/// Fails when a name of a table's columns is empty, too long or repeated.
pub(super) fn check_names_of(table: &Table, names: &[String]) -> Result<()> {
    check(names, |index| table.given_index(index))
}

/// Fails when a name is empty, too long or repeated.
pub(super) fn check_names(names: &[String]) -> Result<()> {
    check(names, |index| index)
}

/// Checks names; errors count the columns as `given_index` does.
fn check(names: &[String], given_index: impl Fn(usize) -> usize) -> Result<()> {
    let mut seen = HashMap::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let index = given_index(index);
        let problem = if name.is_empty() {
            format!("column {index} has an empty name; name every column or none")
        } else if name.len() > MAX_NAME_BYTES {
            format!(
                "the name of column {index} has {} bytes; it must have at most {MAX_NAME_BYTES}",
                name.len()
            )
        } else if let Some(first) = seen.insert(name.as_str(), index) {
            format!(
                "columns {first} and {index} are both named {}; names must be unique",
                shortened(name)
            )
        } else {
            continue;
        };
        let column = PlacedColumn {
            index,
            name: Some(name.clone()),
        };
        return Err(Error::new(reason::INVALID_RECORDS, problem).in_table(Place::Column(column)));
    }
    Ok(())
}

/// `what` followed by the first names, each with its hint; `None` if there is no name.
pub(super) fn listed(
    what: &str,
    names: &[&str],
    hint: impl Fn(&str) -> Option<String>,
) -> Option<String> {
    if names.is_empty() {
        return None;
    }
    let mut shown: Vec<String> = names
        .iter()
        .take(MAX_NAMED)
        .map(|name| format!("{}{}", shortened(name), hint(name).unwrap_or_default()))
        .collect();
    if names.len() > MAX_NAMED {
        shown.push(format!("and {} more", names.len() - MAX_NAMED));
    }
    let plural = if names.len() > 1 { "s" } else { "" };
    Some(format!("{what}{plural} {}", shown.join(", ")))
}

/// `; nearest is "…"`, or nothing if no known name is similar.
pub(super) fn nearest_hint(name: &str, known: &[String]) -> String {
    match nearest(name, known) {
        Some(near) => format!("; nearest is {}", shortened(near)),
        None => String::new(),
    }
}

/// The known name that is most similar to `name`, if any is similar at all.
pub(super) fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    /// The least Jaro-Winkler similarity of names that are suggested.
    const SIMILAR: f64 = 0.7;
    /// The most names that are compared, since each comparison is quadratic in the lengths and there may be very many.
    const MAX_COMPARED: usize = 1000;
    known
        .iter()
        .take(MAX_COMPARED)
        .filter(|other| other.len() <= 256 && name.len() <= 256)
        .map(|other| {
            (
                strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase()),
                other.as_str(),
            )
        })
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, other)| other)
}
