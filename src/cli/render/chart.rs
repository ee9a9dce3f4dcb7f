//! Draws a series as a text chart, and lists its flagged segments.

use std::io::Write;

use super::table;
use crate::cli::error::Result;

const WIDTH: usize = 76;
const HEIGHT: usize = 8;

/// A series to draw.
pub(in crate::cli) struct Series<'a> {
    /// Its title.
    pub(in crate::cli) title: &'a str,
    /// Its values; those that are not finite are left out.
    pub(in crate::cli) values: &'a [f64],
    /// Whether each of them is flagged.
    pub(in crate::cli) flagged: &'a [bool],
    /// The labels of the first and the last row.
    pub(in crate::cli) ends: [&'a str; 2],
}

/// A segment of flagged rows.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) struct Segment {
    /// The series; empty if there is only one.
    pub(in crate::cli) series: String,
    /// The labels of its first and its last row.
    pub(in crate::cli) start: String,
    pub(in crate::cli) end: String,
    /// How many rows it has.
    pub(in crate::cli) rows: usize,
    /// Its highest score.
    pub(in crate::cli) score: f64,
    /// Its lowest and its highest value.
    pub(in crate::cli) low: f64,
    pub(in crate::cli) high: f64,
}

/// Draws a series. Each column shows the range of the rows that share it: solid, and with `^` below it, if one is
/// flagged.
pub(in crate::cli) fn write(out: &mut dyn Write, series: &Series<'_>) -> Result<()> {
    let finite = || series.values.iter().copied().filter(|v| v.is_finite());
    let low = finite().fold(f64::INFINITY, f64::min);
    let high = finite().fold(f64::NEG_INFINITY, f64::max);
    if low > high {
        return Ok(());
    }
    writeln!(
        out,
        "\n{}; █ and ^ where rows are flagged",
        table::clean(series.title)
    )?;
    let columns = columns(series.values, series.flagged, WIDTH);
    let labels = [table::number(high), table::number(low)];
    let margin = labels.iter().map(String::len).max().unwrap_or(0);
    for line in 0..HEIGHT {
        let label = match line {
            0 => labels[0].as_str(),
            _ if line + 1 == HEIGHT => labels[1].as_str(),
            _ => "",
        };
        let level = HEIGHT - 1 - line;
        let cells: String = columns
            .iter()
            .map(|column| match column.levels(low, high) {
                Some((from, to)) if (from..=to).contains(&level) => column.glyph(),
                _ => ' ',
            })
            .collect();
        writeln!(out, "{label:>margin$} │{}", cells.trim_end())?;
    }
    let marks = columns
        .iter()
        .map(|column| if column.is_flagged { '^' } else { ' ' });
    let marks: String = marks.collect();
    writeln!(out, "{:>margin$}  {}", "", marks.trim_end())?;
    let [first, last] = series.ends.map(table::clean);
    let room = columns.len().saturating_sub(first.chars().count());
    writeln!(out, "{:>margin$}  {first}{last:>room$}", "")?;
    Ok(())
}

/// Lists the `top` segments with the highest scores, in the order of the rows.
pub(in crate::cli) fn write_segments(
    out: &mut dyn Write,
    segments: Vec<Segment>,
    top: usize,
) -> Result<()> {
    let n_segments = segments.len();
    let mut by_score: Vec<usize> = (0..n_segments).collect();
    by_score.sort_by(|&a, &b| segments[b].score.total_cmp(&segments[a].score));
    by_score.truncate(top);
    by_score.sort_unstable();
    if by_score.is_empty() {
        return Ok(());
    }
    match by_score.len() {
        shown if shown == n_segments => writeln!(out, "\n{n_segments} flagged segments:")?,
        shown => writeln!(
            out,
            "\nthe {shown} of {n_segments} flagged segments with the highest scores:"
        )?,
    }
    let has_series = segments.iter().any(|segment| !segment.series.is_empty());
    let mut header = vec!["start", "end", "rows", "lowest", "highest", "highest score"];
    if has_series {
        header.insert(0, "series");
    }
    let right = ["rows", "lowest", "highest", "highest score"];
    let mut rows = table::table(&header, &right);
    for segment in by_score.into_iter().map(|at| &segments[at]) {
        let mut row = vec![
            table::clean(&segment.start),
            table::clean(&segment.end),
            segment.rows.to_string(),
            finite(segment.low),
            finite(segment.high),
            table::number(segment.score),
        ];
        if has_series {
            row.insert(0, table::clean(&segment.series));
        }
        rows.add_row(row);
    }
    table::write(out, &rows)
}

/// A number, or `-` if it is not finite.
fn finite(v: f64) -> String {
    table::optional(v.is_finite().then_some(v))
}

/// The rows that share a column of a chart.
struct Bar {
    low: f64,
    high: f64,
    is_flagged: bool,
}

impl Bar {
    /// The lowest and the highest line of the range, counted from the bottom.
    fn levels(&self, low: f64, high: f64) -> Option<(usize, usize)> {
        if self.low > self.high {
            return None;
        }
        // halves, because the difference of two doubles may be infinite
        let span = high / 2.0 - low / 2.0;
        let level = |v: f64| match span > 0.0 {
            true => {
                let part = (v / 2.0 - low / 2.0) / span;
                ((part * HEIGHT as f64) as usize).min(HEIGHT - 1)
            }
            false => HEIGHT / 2,
        };
        Some((level(self.low), level(self.high)))
    }

    fn glyph(&self) -> char {
        if self.is_flagged { '█' } else { '░' }
    }
}

fn columns(values: &[f64], flagged: &[bool], width: usize) -> Vec<Bar> {
    let n_columns = values.len().min(width);
    let column = |column: usize| {
        let range = column * values.len() / n_columns..(column + 1) * values.len() / n_columns;
        let finite = || values[range.clone()].iter().filter(|v| v.is_finite());
        Bar {
            low: finite().copied().fold(f64::INFINITY, f64::min),
            high: finite().copied().fold(f64::NEG_INFINITY, f64::max),
            is_flagged: flagged.iter().take(range.end).skip(range.start).any(|f| *f),
        }
    };
    (0..n_columns).map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(values: &[f64], flagged: &[bool]) -> String {
        let series = Series {
            title: "flow",
            values,
            flagged,
            ends: ["first", "last"],
        };
        let mut out = Vec::new();
        write(&mut out, &series).expect("writes");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_chart_shows_ranges_and_flags_in_their_columns() {
        let mut values = vec![10.0; 760];
        values[385] = 2.0;
        let mut flagged = vec![false; 760];
        flagged[385] = true;
        let text = drawn(&values, &flagged);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2 + HEIGHT + 2);
        assert_eq!(
            lines[2],
            format!("10 │{}█{}", "░".repeat(38), "░".repeat(37))
        );
        assert_eq!(lines[9], format!(" 2 │{}█", " ".repeat(38)));
        assert_eq!(lines[10], format!("    {}^", " ".repeat(38)));
        assert_eq!(lines[11].chars().count(), 4 + WIDTH);
        assert!(lines[11].starts_with("    first") && lines[11].ends_with("last"));
    }

    #[test]
    fn charts_of_unusual_values() {
        assert_eq!(drawn(&[], &[]), "");
        assert_eq!(drawn(&[f64::NAN], &[true]), "");
        assert!(drawn(&[1.0, 1.0, f64::NAN], &[]).contains("░░\n"));
        let huge = drawn(&[f64::MIN, f64::MAX], &[true, false]);
        assert!(huge.contains("│█\n") && huge.contains("│ ░\n"), "{huge}");
    }

    #[test]
    fn the_segments_with_the_highest_scores_are_listed_in_the_order_of_rows() {
        let segment = |start: &str, score| Segment {
            series: String::new(),
            start: start.to_owned(),
            end: "z".to_owned(),
            rows: 1,
            score,
            low: 0.0,
            high: f64::NEG_INFINITY,
        };
        let all = vec![segment("a", 2.0), segment("b", 1.0), segment("c", 3.0)];
        let shown = |top| {
            let mut out = Vec::new();
            write_segments(&mut out, all.clone(), top).expect("writes");
            String::from_utf8(out).expect("text")
        };
        let two = shown(2);
        assert!(two.contains("the 2 of 3"), "{two}");
        let (a, c) = (two.find("│ a"), two.find("│ c"));
        assert!(a.is_some() && a < c && !two.contains("│ b"), "{two}");
        assert!(shown(5).contains("3 flagged segments"));
        assert_eq!(shown(0), "");
    }
}
