//! `predict --plot`: draws a column for each series, and lists the segments of flagged rows.

use std::io::Write;

use crate::cli::error::{Error, Result};
use crate::cli::input::{Limits, Whole};
use crate::cli::render::chart::{self, Series};
use crate::cli::suggest::did_you_mean;
use crate::proto::v1::{ColumnRole, ModelColumn, Predictions};

/// The most series that are drawn.
const MAX_DRAWN: usize = 4;

/// A CSV file with the column to draw.
pub(super) struct Plotted {
    name: String,
    header: Vec<String>,
    records: Vec<csv::ByteRecord>,
    values: Vec<f64>,
}

impl Plotted {
    /// Reads the column. Fails if it does not exist or has no number.
    pub(super) fn read(whole: &Whole, name: &str) -> Result<Self> {
        let Some(mut chunks) = whole.rows()? else {
            return Err(Error::usage("--plot draws CSV files only"));
        };
        let header: Vec<String> = chunks
            .header()
            .iter()
            .map(|name| String::from_utf8_lossy(name).trim().to_owned())
            .collect();
        let Some(index) = header.iter().position(|column| column == name) else {
            let near = did_you_mean(name, header.iter().map(String::as_str));
            return Err(Error::usage(format!(
                "there is no column {name:?} to plot{near}"
            )));
        };
        let records = match chunks.next(Limits::NONE)? {
            Some(chunk) => chunk.records,
            None => Vec::new(),
        };
        let values: Vec<f64> = records
            .iter()
            .map(|record| number(record.get(index).unwrap_or_default(), whole.decimal()))
            .collect();
        if !values.iter().any(|value| value.is_finite()) {
            return Err(Error::usage(format!(
                "the column {name:?} holds no numbers to plot"
            )));
        }
        Ok(Self {
            name: name.to_owned(),
            header,
            records,
            values,
        })
    }

    /// The texts of the column that has a role.
    fn texts(&self, columns: &[ModelColumn], role: ColumnRole) -> Option<Vec<String>> {
        let column = columns.iter().find(|column| column.role() == role)?;
        let index = self.header.iter().position(|name| *name == column.name)?;
        let text = |record: &csv::ByteRecord| {
            String::from_utf8_lossy(record.get(index).unwrap_or_default())
                .trim()
                .to_owned()
        };
        Some(self.records.iter().map(text).collect())
    }
}

/// A cell as a number; NaN for any other text.
fn number(cell: &[u8], decimal: char) -> f64 {
    let text = String::from_utf8_lossy(cell).trim().replace(decimal, ".");
    text.parse().unwrap_or(f64::NAN)
}

/// Draws the series, and lists the segments: the `top` with the highest scores, in the order of the rows. A segment has at
/// most `gap` rows that are not flagged between two flagged ones.
pub(super) fn write(
    out: &mut dyn Write,
    column: &Plotted,
    columns: &[ModelColumn],
    answer: &Predictions,
    gap: usize,
    top: usize,
) -> Result<()> {
    let n_rows = column.values.len();
    if answer.scores.len() != n_rows || answer.is_anomaly.len() != n_rows {
        return Err(Error::failed(format!(
            "the file has {n_rows} rows, but the server answered {} scores",
            answer.scores.len()
        )));
    }
    let times = column.texts(columns, ColumnRole::Time);
    let places = times.unwrap_or_else(|| (0..n_rows).map(|row| format!("row {row}")).collect());
    let series = match column.texts(columns, ColumnRole::Series) {
        Some(names) => grouped(&names),
        None => vec![(String::new(), (0..n_rows).collect())],
    };
    let mut all = Vec::new();
    let mut by_flags: Vec<usize> = (0..series.len()).collect();
    let flags = |rows: &[usize]| rows.iter().filter(|&&row| answer.is_anomaly[row]).count();
    by_flags.sort_by_key(|&at| std::cmp::Reverse(flags(&series[at].1)));
    by_flags.truncate(MAX_DRAWN);
    by_flags.sort_unstable();
    for at in by_flags {
        let (name, rows) = &series[at];
        let title = match name.as_str() {
            "" => column.name.clone(),
            name => format!("{} of {name}", column.name),
        };
        let values: Vec<f64> = rows.iter().map(|&row| column.values[row]).collect();
        let flagged: Vec<bool> = rows.iter().map(|&row| answer.is_anomaly[row]).collect();
        let ends = [rows.first(), rows.last()].map(|row| row.map_or("", |&row| &places[row]));
        let drawn = Series {
            title: &title,
            values: &values,
            flagged: &flagged,
            ends,
        };
        chart::write(out, &drawn)?;
    }
    if series.len() > MAX_DRAWN {
        writeln!(
            out,
            "the {MAX_DRAWN} series with the most flagged rows are drawn, of {}",
            series.len()
        )?;
    }
    for (name, rows) in &series {
        let segments = segments(rows, &answer.is_anomaly, gap);
        all.extend(segments.into_iter().map(|rows| chart::Segment {
            series: name.clone(),
            start: places[rows[0]].clone(),
            end: places[rows[rows.len() - 1]].clone(),
            rows: rows.len(),
            score: highest(rows.iter().map(|&row| answer.scores[row])),
            low: -highest(rows.iter().map(|&row| -column.values[row])),
            high: highest(rows.iter().map(|&row| column.values[row])),
        }));
    }
    chart::write_segments(out, all, top)
}

fn highest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(f64::NEG_INFINITY, f64::max)
}

/// The rows of each series; series are in the order in which they first appear.
fn grouped(names: &[String]) -> Vec<(String, Vec<usize>)> {
    let mut places = std::collections::HashMap::new();
    let mut series: Vec<(String, Vec<usize>)> = Vec::new();
    for (row, name) in names.iter().enumerate() {
        let place = *places.entry(name).or_insert_with(|| {
            series.push((name.clone(), Vec::new()));
            series.len() - 1
        });
        series[place].1.push(row);
    }
    series
}

/// The rows of each segment. The first and the last one are flagged.
fn segments<'a>(rows: &'a [usize], flagged: &[bool], gap: usize) -> Vec<&'a [usize]> {
    let mut bounds: Vec<(usize, usize)> = Vec::new();
    for at in (0..rows.len()).filter(|&at| flagged[rows[at]]) {
        match bounds.last_mut() {
            Some((_, end)) if at - *end - 1 <= gap => *end = at,
            _ => bounds.push((at, at)),
        }
    }
    let segment = |(start, end): (usize, usize)| &rows[start..=end];
    bounds.into_iter().map(segment).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_flagged_rows_are_a_segment() {
        let flagged = [true, false, true, true, false, false, true];
        let rows: Vec<usize> = (0..7).collect();
        let none: [&[usize]; 3] = [&[0], &[2, 3], &[6]];
        assert_eq!(segments(&rows, &flagged, 0), none);
        let one: [&[usize]; 2] = [&[0, 1, 2, 3], &[6]];
        assert_eq!(segments(&rows, &flagged, 1), one);
        assert_eq!(segments(&rows, &flagged, usize::MAX).len(), 1);
        // rows that are consecutive in their series need not be in the file
        let odd: [&[usize]; 2] = [&[0, 2], &[6]];
        assert_eq!(segments(&[0, 2, 4, 6], &flagged, 0), odd);
        assert!(segments(&rows, &[false; 7], 0).is_empty());
    }

    #[test]
    fn rows_are_grouped_by_series() {
        let names = ["b", "a", "b"].map(str::to_owned);
        let expected = vec![("b".to_owned(), vec![0, 2]), ("a".to_owned(), vec![1])];
        assert_eq!(grouped(&names), expected);
    }

    #[test]
    fn cells_are_read_as_numbers() {
        assert_eq!(number(b" 1,5 ", ','), 1.5);
        assert_eq!(number(b"-2e3", '.'), -2000.0);
        assert!(number(b"", '.').is_nan() && number(b"n/a", '.').is_nan());
    }
}
