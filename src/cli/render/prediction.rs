//! Shows predictions: the summary, and the most anomalous rows.

use std::io::Write;

use super::table;
use crate::cli::error::Result;
use crate::proto::v1::{DetectorFigures, PredictionSummary, Predictions, RowPrediction};

/// The `n` listed rows with the highest scores, highest first. `first_row` is the index of the first scored row.
pub(in crate::cli) fn top(answer: &Predictions, first_row: u64, n: usize) -> Vec<RowPrediction> {
    let score = |row: &RowPrediction| row.score.unwrap_or(f64::NEG_INFINITY);
    if !answer.rows.is_empty() {
        let mut rows = answer.rows.clone();
        rows.sort_by(|a, b| score(b).total_cmp(&score(a)));
        rows.truncate(n);
        return rows;
    }
    let mut order: Vec<usize> = (0..answer.scores.len()).collect();
    order.sort_by(|&a, &b| answer.scores[b].total_cmp(&answer.scores[a]));
    order.truncate(n);
    let row = |at: usize| RowPrediction {
        // without indices, all rows are listed
        row: Some(match answer.row_indices.get(at) {
            Some(&row) => row,
            None => first_row + at as u64,
        }),
        row_id: answer.row_ids.get(at).cloned().unwrap_or_default(),
        score: Some(answer.scores[at]),
        is_anomaly: answer.is_anomaly.get(at).copied(),
        ..RowPrediction::default()
    };
    order.into_iter().map(row).collect()
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

/// Writes rows. `names` are those of the features that z-scores belong to, if they are known. `cells` returns the first columns
/// of a row of the input, under `header`, if there is an input.
pub(in crate::cli) fn write_rows(
    out: &mut dyn Write,
    rows: &[RowPrediction],
    names: &[String],
    header: &[String],
    mut cells: impl FnMut(u64) -> Vec<String>,
) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let figures = |row: &RowPrediction| row.figures.clone().unwrap_or_default();
    let has_id = rows.iter().any(|row| !row.row_id.is_empty());
    let has_density = rows
        .iter()
        .any(|row| figures(row).normalized_density.is_some());
    let has_z = rows.iter().any(|row| !figures(row).z_scores.is_empty());
    let has_names = has_z && !names.is_empty();
    let has_missing = rows.iter().any(|row| !row.missing_features.is_empty());
    let mut columns = vec!["row"];
    columns.extend(has_id.then_some("id"));
    columns.extend(["score", "anomaly"]);
    columns.extend(has_z.then_some("max |z|"));
    columns.extend(has_names.then_some("feature"));
    columns.extend(has_density.then_some("density / peak"));
    columns.extend(has_missing.then_some("missing"));
    let right = ["row", "score", "max |z|", "density / peak"];
    columns.extend(header.iter().map(String::as_str));
    let mut shown = table::table(&columns, &right);
    for row in rows {
        let mut line = vec![
            row.row
                .map_or_else(|| "-".to_owned(), |row| row.to_string()),
        ];
        line.extend(has_id.then(|| table::clean(&row.row_id)));
        line.push(table::optional(row.score));
        line.push(
            row.is_anomaly
                .map_or("-", |is| if is { "yes" } else { "no" })
                .to_owned(),
        );
        let DetectorFigures {
            z_scores,
            normalized_density,
            ..
        } = figures(row);
        let z_scores = z_scores.iter().map(|z| z.abs()).enumerate();
        let largest = z_scores.max_by(|a, b| a.1.total_cmp(&b.1));
        if has_z {
            line.push(table::optional(largest.map(|(_, z)| z)));
        }
        if has_names {
            let name = largest.and_then(|(feature, _)| names.get(feature));
            line.push(name.map_or_else(|| "-".to_owned(), |name| table::clean(name)));
        }
        if has_density {
            line.push(table::optional(normalized_density));
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
    fn the_highest_scores_come_first_in_both_forms() {
        let packed = Predictions {
            scores: vec![0.1, f64::INFINITY, 0.5],
            is_anomaly: vec![false, true, true],
            ..Default::default()
        };
        let rows: Vec<_> = top(&packed, 0, 2)
            .iter()
            .map(|row| (row.row, row.is_anomaly))
            .collect();
        assert_eq!(rows, [(Some(1), Some(true)), (Some(2), Some(true))]);

        let by_row = Predictions {
            rows: top(&packed, 0, 3).into_iter().rev().collect(),
            ..Default::default()
        };
        assert_eq!(top(&by_row, 0, 2), top(&packed, 0, 2));
        assert!(top(&Predictions::default(), 0, 5).is_empty());
    }

    #[test]
    fn rows_have_their_own_indices_and_ids() {
        let some = Predictions {
            row_indices: vec![107, 109],
            row_ids: vec!["a".into(), "b".into()],
            scores: vec![0.5, 0.75],
            is_anomaly: vec![true, true],
            ..Default::default()
        };
        let rows: Vec<_> = top(&some, 100, 5)
            .into_iter()
            .map(|row| (row.row, row.row_id))
            .collect();
        let expected = [(Some(109), "b".to_owned()), (Some(107), "a".to_owned())];
        assert_eq!(rows, expected);
        // without indices, all rows are listed
        let all = Predictions {
            row_indices: Vec::new(),
            ..some
        };
        assert_eq!(top(&all, 100, 1)[0].row, Some(101));
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
        write_rows(&mut out, &[row], &[], &["amount".into()], |row| {
            vec![format!("cell of {row}")]
        })
        .expect("writes");
        let text = String::from_utf8(out).expect("text");
        assert!(
            text.contains("amount") && text.contains("cell of 7") && text.contains("no"),
            "{text}"
        );
        assert!(!text.contains("id"), "{text}");
    }

    #[test]
    fn values_that_only_some_rows_have_get_a_column() {
        let row = RowPrediction {
            row: Some(7),
            row_id: "order 9".into(),
            score: Some(3.5),
            figures: Some(DetectorFigures {
                z_scores: vec![1.0, -3.25],
                normalized_density: Some(0.125),
                ..DetectorFigures::default()
            }),
            ..Default::default()
        };
        let rows = [row, RowPrediction::default()];
        let written = |names: &[String]| {
            super::super::written(|out| write_rows(out, &rows, names, &[], |_| Vec::new()))
        };
        let text = written(&[]);
        assert!(!text.contains("feature"), "{text}");
        let text = written(&["amount".into(), "hour".into()]);
        for expected in [
            "id",
            "order 9",
            "max |z|",
            "3.25",
            "feature",
            "hour",
            "density / peak",
            "0.125",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }
}
