//! Predictions for people: the summary, and the most anomalous rows.

use std::io::Write;

use super::table;
use crate::cli::error::Result;
use crate::proto::v1::{PredictResponse, PredictStreamResponse, PredictionSummary, RowPrediction};

/// What both ways of predicting answer.
#[derive(Debug, Default)]
pub(in crate::cli) struct Answer {
    pub(in crate::cli) summary: PredictionSummary,
    pub(in crate::cli) scores: Vec<f64>,
    pub(in crate::cli) is_anomaly: Vec<bool>,
    pub(in crate::cli) rows: Vec<RowPrediction>,
    /// Whether the server cut its lists.
    pub(in crate::cli) truncated: bool,
}

impl From<PredictResponse> for Answer {
    fn from(response: PredictResponse) -> Self {
        Self {
            summary: response.summary.unwrap_or_default(),
            scores: response.scores,
            is_anomaly: response.is_anomaly,
            rows: response.rows,
            truncated: false,
        }
    }
}

impl From<PredictStreamResponse> for Answer {
    fn from(response: PredictStreamResponse) -> Self {
        Self {
            truncated: response.truncated.unwrap_or(false),
            summary: response.summary.unwrap_or_default(),
            scores: response.scores,
            is_anomaly: response.is_anomaly,
            rows: response.rows,
        }
    }
}

impl Answer {
    /// The `n` rows with the highest scores among those that were answered, highest first.
    pub(in crate::cli) fn top(&self, n: usize) -> Vec<RowPrediction> {
        let mut rows: Vec<RowPrediction> = if self.rows.is_empty() {
            let mut order: Vec<usize> = (0..self.scores.len()).collect();
            order.sort_by(|&a, &b| self.scores[b].total_cmp(&self.scores[a]));
            order
                .into_iter()
                .take(n)
                .map(|row| RowPrediction {
                    row: Some(row as u64),
                    score: Some(self.scores[row]),
                    is_anomaly: self.is_anomaly.get(row).copied(),
                    ..Default::default()
                })
                .collect()
        } else {
            self.rows.clone()
        };
        let score = |row: &RowPrediction| row.score.unwrap_or(f64::NEG_INFINITY);
        rows.sort_by(|a, b| score(b).total_cmp(&score(a)));
        rows.truncate(n);
        rows
    }
}

/// Writes the summary.
pub(in crate::cli) fn write_summary(
    out: &mut dyn Write,
    summary: &PredictionSummary,
) -> Result<()> {
    let rows = summary.n_rows.unwrap_or(0);
    writeln!(
        out,
        "run {:?}, version {}: {} are anomalies",
        summary.run_id,
        summary.version,
        table::share(summary.n_anomalies.unwrap_or(0), rows),
    )?;
    let mut facts = vec![("threshold", table::optional(summary.threshold))];
    for (name, count) in [
        ("missing values", summary.n_missing_values),
        ("infinite values", summary.n_infinite_values),
    ] {
        if let Some(count) = count.filter(|&count| count > 0) {
            facts.push((name, count.to_string()));
        }
    }
    if !summary.missing_features.is_empty() {
        facts.push(("missing in", summary.missing_features.join(", ")));
    }
    if !summary.unknown_features.is_empty() {
        facts.push(("left out", summary.unknown_features.join(", ")));
    }
    table::write_facts(out, &facts)
}

/// Writes rows. `cells` finds the first columns of a row of the input, under `header`, where the input is at hand.
pub(in crate::cli) fn write_rows(
    out: &mut dyn Write,
    rows: &[RowPrediction],
    header: &[String],
    mut cells: impl FnMut(u64) -> Vec<String>,
) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let has_density = rows.iter().any(|row| row.gaussian.is_some());
    let has_z = rows.iter().any(|row| !row.z_scores.is_empty());
    let has_missing = rows.iter().any(|row| !row.missing_features.is_empty());
    let mut columns = vec!["row", "score", "anomaly"];
    columns.extend(has_z.then_some("max |z|"));
    columns.extend(has_density.then_some("density / peak"));
    columns.extend(has_missing.then_some("missing"));
    let right = ["row", "score", "max |z|", "density / peak"];
    columns.extend(header.iter().map(String::as_str));
    let mut shown = table::table(&columns, &right);
    for row in rows {
        let mut line = vec![
            row.row
                .map_or_else(|| "-".to_owned(), |row| row.to_string()),
            table::optional(row.score),
            row.is_anomaly
                .map_or("-", |is| if is { "yes" } else { "no" })
                .to_owned(),
        ];
        if has_z {
            line.push(table::optional(
                row.z_scores
                    .iter()
                    .copied()
                    .map(f64::abs)
                    .max_by(f64::total_cmp),
            ));
        }
        if has_density {
            line.push(table::optional(
                row.gaussian.as_ref().and_then(|g| g.normalized_density),
            ));
        }
        if has_missing {
            line.push(table::clean(&row.missing_features.join(", ")));
        }
        let cells = row.row.map(&mut cells).unwrap_or_default();
        line.extend(cells.iter().map(|cell| table::clean(cell)));
        shown.add_row(line);
    }
    table::write(out, &shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_scores_come_first_whatever_the_form() {
        let columnar = Answer {
            scores: vec![0.1, f64::INFINITY, 0.5],
            is_anomaly: vec![false, true, true],
            ..Default::default()
        };
        let rows: Vec<_> = columnar
            .top(2)
            .iter()
            .map(|row| (row.row, row.is_anomaly))
            .collect();
        assert_eq!(rows, [(Some(1), Some(true)), (Some(2), Some(true))]);

        let by_row = Answer {
            rows: columnar.top(3).into_iter().rev().collect(),
            ..Default::default()
        };
        assert_eq!(by_row.top(2), columnar.top(2));
        assert!(Answer::default().top(5).is_empty());
    }

    #[test]
    fn rows_are_shown_beside_the_input() {
        let row = RowPrediction {
            row: Some(7),
            score: Some(0.0),
            is_anomaly: Some(false),
            ..Default::default()
        };
        let mut out = Vec::new();
        write_rows(&mut out, &[row], &["amount".into()], |row| {
            vec![format!("cell of {row}")]
        })
        .expect("writes");
        let text = String::from_utf8(out).expect("text");
        assert!(
            text.contains("amount") && text.contains("cell of 7") && text.contains("no"),
            "{text}"
        );
    }
}
