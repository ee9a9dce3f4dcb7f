//! Tables, and the format of their numbers.

use std::io::Write;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use crate::cli::error::Result;

/// An empty table with a header; columns named in `right` are aligned to the right.
pub(in crate::cli) fn table(header: &[&str], right: &[&str]) -> Table {
    // in a terminal with no width, or a tiny one, columns would shrink to single letters
    const MIN_WIDTH: u16 = 40;
    let mut table = Table::new();
    let arrangement = match table.width() {
        Some(width) if width >= MIN_WIDTH => ContentArrangement::Dynamic,
        _ => ContentArrangement::Disabled,
    };
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(arrangement)
        .set_header(header.iter().copied().map(clean));
    for (index, name) in header.iter().enumerate() {
        if right.contains(name)
            && let Some(column) = table.column_mut(index)
        {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Writes a table.
pub(in crate::cli) fn write(out: &mut dyn Write, table: &Table) -> Result<()> {
    writeln!(out, "{table}")?;
    Ok(())
}

/// Writes `name  value` lines, the values below each other.
pub(in crate::cli) fn write_facts(out: &mut dyn Write, facts: &[(&str, String)]) -> Result<()> {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in facts {
        writeln!(out, "{name:<width$}  {}", clean(value))?;
    }
    Ok(())
}

/// A number with about six significant digits.
pub(in crate::cli) fn number(v: f64) -> String {
    let magnitude = v.abs();
    if v == 0.0 || !v.is_finite() {
        return v.to_string();
    }
    if !(1e-4..1e9).contains(&magnitude) {
        let text = format!("{v:.4e}");
        return match text.split_once('e') {
            Some((digits, exponent)) => format!("{}e{exponent}", without_zeros(digits)),
            None => text,
        };
    }
    let digits = (5 - magnitude.log10().floor() as i32).max(0) as usize;
    without_zeros(&format!("{v:.digits$}")).to_owned()
}

/// The text of a number without trailing zeros.
fn without_zeros(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}

/// A number that may be absent.
pub(in crate::cli) fn optional(v: Option<f64>) -> String {
    v.map_or_else(|| "-".to_owned(), number)
}

/// A count with its share of a total, such as `3 of 60 (5.0%)`.
pub(in crate::cli) fn share(part: u64, total: u64) -> String {
    if total == 0 {
        return format!("{part} of 0");
    }
    format!(
        "{part} of {total} ({:.1}%)",
        100.0 * part as f64 / total as f64
    )
}

/// Text without control characters: names come from files and servers, and must not control the
/// terminal.
pub(in crate::cli) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_accurate() {
        let cases = [
            (0.0, "0"),
            (1.0, "1"),
            (0.5, "0.5"),
            (0.123_456_789, "0.123457"),
            (-12.345_678, "-12.3457"),
            (1_234_567.0, "1234567"),
            (100.0, "100"),
            (1e12, "1e12"),
            (1e-7, "1e-7"),
            (-1.5e-9, "-1.5e-9"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "inf"),
        ];
        for (v, expected) in cases {
            assert_eq!(number(v), expected);
        }
        assert_eq!(optional(None), "-");
    }

    #[test]
    fn shares_of_nothing() {
        assert_eq!(share(3, 60), "3 of 60 (5.0%)");
        assert_eq!(share(0, 0), "0 of 0");
    }

    #[test]
    fn escapes_do_not_reach_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\n"), "a\u{fffd}[31mb\u{fffd}");
        let mut table = table(&["name", "n"], &["n"]);
        table.add_row(["x".to_owned(), "1".to_owned()]);
        let mut out = Vec::new();
        write(&mut out, &table).expect("a vector takes everything");
        let text = String::from_utf8(out).expect("text");
        assert!(text.contains("name") && text.contains('x'), "{text}");
    }
}
