//! Shows the columns of a model and how they were treated.

use std::io::Write;

use super::table;
use crate::cli::descriptors;
use crate::cli::error::Result;
use crate::proto::v1::{
    CategoryEncoding, ColumnRole, FeatureEngineering, ModelColumn, TrainingSpec,
};

/// Adds how the columns were treated.
pub(super) fn add_facts(
    facts: &mut Vec<(&str, String)>,
    spec: &TrainingSpec,
    columns: &[ModelColumn],
) {
    if let Some(engineering) = &spec.feature_engineering {
        facts.push(("engineered of", of(engineering, columns)));
        facts.push(("engineered", engineered(engineering)));
    }
    for (name, word) in [
        (
            "feature policy",
            descriptors::word("FeaturePolicy", spec.feature_policy),
        ),
        (
            "imputation",
            descriptors::word("Imputation", spec.imputation),
        ),
    ] {
        if !word.is_empty() {
            facts.push((name, word));
        }
    }
    if let Some(most) = spec.max_one_hot_categories
        && columns.iter().any(|column| column.n_categories.is_some())
    {
        facts.push(("max one-hot categories", most.to_string()));
    }
}

/// The columns that are not plain features of numbers, in one line: `time "when" (ISO 8601), target
/// "flow"`.
pub(super) fn in_short(columns: &[ModelColumn]) -> String {
    let texts = columns.iter().filter_map(|column| {
        let role = descriptors::word("ColumnRole", column.role);
        let form = form(column);
        match (column.role(), form.as_str()) {
            (ColumnRole::Unspecified, _) | (ColumnRole::Feature, "numbers") => None,
            (ColumnRole::Feature, form) => Some(format!("{:?} ({form})", column.name)),
            (_, "" | "numbers") => Some(format!("{role} {:?}", column.name)),
            (_, form) => Some(format!("{role} {:?} ({form})", column.name)),
        }
    });
    texts.collect::<Vec<_>>().join(", ")
}

/// Writes every column with its role and form, unless all are plain features of numbers.
pub(super) fn write(out: &mut dyn Write, columns: &[ModelColumn]) -> Result<()> {
    if in_short(columns).is_empty() {
        return Ok(());
    }
    let mut rows = table::table(&["column", "role", "form"], &[]);
    for column in columns {
        rows.add_row([
            table::clean(&column.name),
            descriptors::word("ColumnRole", column.role),
            table::clean(&form(column)),
        ]);
    }
    table::write(out, &rows)
}

/// The form of a column; empty if it is not known.
fn form(column: &ModelColumn) -> String {
    let categories = column.n_categories.unwrap_or(0);
    match (column.role(), column.encoding()) {
        (ColumnRole::Time, _) => column.time_format.clone(),
        (_, CategoryEncoding::OneHot) => format!("{categories} texts, one-hot"),
        (_, CategoryEncoding::Frequency) => format!("{categories} texts, by frequency"),
        (ColumnRole::Feature | ColumnRole::Target, _) => "numbers".to_owned(),
        _ => String::new(),
    }
}

/// The columns that features are engineered from.
fn of(engineering: &FeatureEngineering, columns: &[ModelColumn]) -> String {
    if !engineering.columns.is_empty() {
        return engineering.columns.join(", ");
    }
    let features = |role| columns.iter().filter(move |column| column.role() == role);
    let target = features(ColumnRole::Target).next();
    let column = target.or_else(|| features(ColumnRole::Feature).next());
    column.map_or_else(|| "-".to_owned(), |column| column.name.clone())
}

/// The kinds of engineered features, in one line.
fn engineered(engineering: &FeatureEngineering) -> String {
    let list = |rows: &[u32]| {
        let rows: Vec<String> = rows.iter().map(u32::to_string).collect();
        rows.join(", ")
    };
    let chosen = |flags: &[(&'static str, Option<bool>)]| {
        let chosen = flags.iter().filter(|(_, flag)| flag.unwrap_or(true));
        let names: Vec<&str> = chosen.map(|(name, _)| *name).collect();
        names.join(", ")
    };
    let mut parts = Vec::new();
    if !matches!(engineering.lags[..], [] | [0]) {
        parts.push(format!("lags {}", list(&engineering.lags)));
    }
    let statistics = chosen(&[
        ("mean", engineering.rolling_mean),
        ("std", engineering.rolling_std),
        ("z-score", engineering.rolling_z_score),
    ]);
    if !matches!(engineering.rolling_windows[..], [] | [0]) && !statistics.is_empty() {
        let windows = list(&engineering.rolling_windows);
        parts.push(format!("rolling {statistics} of {windows} rows"));
    }
    parts.push(chosen(&[
        ("difference", engineering.difference),
        ("hour", engineering.hour),
        ("day of week", engineering.day_of_week),
        ("month", engineering.month),
    ]));
    parts.retain(|part| !part.is_empty());
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::{FeaturePolicy, Imputation};

    fn column(name: &str, role: ColumnRole) -> ModelColumn {
        ModelColumn {
            name: name.to_owned(),
            role: role.into(),
            ..ModelColumn::default()
        }
    }

    fn columns() -> Vec<ModelColumn> {
        vec![
            ModelColumn {
                time_format: "ISO 8601".to_owned(),
                ..column("when", ColumnRole::Time)
            },
            column("flow", ColumnRole::Target),
            ModelColumn {
                encoding: CategoryEncoding::OneHot.into(),
                n_categories: Some(3),
                ..column("shop", ColumnRole::Feature)
            },
            column("x", ColumnRole::Feature),
            column("note", ColumnRole::Ignored),
        ]
    }

    #[test]
    fn columns_are_shown_in_one_line_and_as_a_table() {
        assert_eq!(
            in_short(&columns()),
            "time \"when\" (ISO 8601), target \"flow\", \"shop\" (3 texts, one-hot), ignored \"note\""
        );
        assert_eq!(in_short(&[column("x", ColumnRole::Feature)]), "");
        let mut out = Vec::new();
        write(&mut out, &columns()).expect("writes");
        let text = String::from_utf8(out).expect("text");
        for expected in ["ISO 8601", "3 texts, one-hot", "ignored", "numbers"] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }

    #[test]
    fn engineering_is_one_line() {
        let spec = TrainingSpec {
            feature_engineering: Some(FeatureEngineering {
                lags: vec![1, 2],
                rolling_windows: vec![24],
                rolling_std: Some(false),
                month: Some(false),
                ..Default::default()
            }),
            feature_policy: FeaturePolicy::Flexible.into(),
            imputation: Imputation::Zero.into(),
            max_one_hot_categories: Some(16),
            ..TrainingSpec::default()
        };
        let mut facts = Vec::new();
        add_facts(&mut facts, &spec, &columns());
        let expected = [
            ("engineered of", "flow"),
            (
                "engineered",
                "lags 1, 2; rolling mean, z-score of 24 rows; difference, hour, day of week",
            ),
            ("feature policy", "flexible"),
            ("imputation", "zero"),
            ("max one-hot categories", "16"),
        ];
        assert_eq!(facts, expected.map(|(name, text)| (name, text.to_owned())));

        let nothing = FeatureEngineering {
            lags: vec![0],
            rolling_windows: vec![0],
            difference: Some(false),
            hour: Some(false),
            day_of_week: Some(false),
            ..FeatureEngineering::default()
        };
        assert_eq!(engineered(&nothing), "month");
    }
}
