//! Joins the summaries of rows that were scored in parts.

use crate::proto::v1::PredictionSummary;

/// The summary of both parts, which were scored with one version.
pub(super) fn joined(total: PredictionSummary, part: PredictionSummary) -> PredictionSummary {
    let sum = |a: Option<u64>, b: Option<u64>| Some(a?.saturating_add(b?));
    let all_missing = names_all(&total) && names_all(&part);
    let missing_features = united(total.missing_features, part.missing_features);
    PredictionSummary {
        n_rows: sum(total.n_rows, part.n_rows),
        n_anomalies: sum(total.n_anomalies, part.n_anomalies),
        n_missing_values: sum(total.n_missing_values, part.n_missing_values),
        n_infinite_values: sum(total.n_infinite_values, part.n_infinite_values),
        // features that are not named cannot be compared between the parts
        n_missing_features: all_missing.then_some(missing_features.len() as u64),
        missing_features,
        unknown_features: united(total.unknown_features, part.unknown_features),
        ..total
    }
}

/// Whether all missing features are named.
fn names_all(summary: &PredictionSummary) -> bool {
    summary.n_missing_features == Some(summary.missing_features.len() as u64)
}

fn united(mut all: Vec<String>, more: Vec<String>) -> Vec<String> {
    for name in more {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(missing: &[&str], n_missing_features: u64) -> PredictionSummary {
        PredictionSummary {
            version: 3,
            n_rows: Some(10),
            n_anomalies: Some(1),
            n_missing_values: Some(4),
            n_infinite_values: Some(0),
            n_missing_features: Some(n_missing_features),
            missing_features: missing.iter().map(|&name| name.to_owned()).collect(),
            ..PredictionSummary::default()
        }
    }

    #[test]
    fn counts_are_added_and_features_counted_once() {
        let both = joined(summary(&["a", "b"], 2), summary(&["b", "c"], 2));
        let expected = PredictionSummary {
            n_rows: Some(20),
            n_anomalies: Some(2),
            n_missing_values: Some(8),
            ..summary(&["a", "b", "c"], 3)
        };
        assert_eq!(both, expected);
    }

    #[test]
    fn features_that_were_not_all_named_are_not_counted() {
        let both = joined(summary(&["a"], 2), summary(&["a"], 1));
        assert_eq!(both.n_missing_features, None);
        assert_eq!(both.missing_features, ["a"]);
    }
}
