//! Shows models.

use std::io::Write;

use bytesize::ByteSize;

use super::{columns, parameters, table};
use crate::cli::descriptors;
use crate::cli::error::Result;
use crate::proto::v1::training_spec::Policy;
use crate::proto::v1::{GaussianMoments, LabelMetrics, Model, TrainingSpec, TrainingStatistics};

/// Writes the model of a training or an update, in short.
pub(in crate::cli) fn write_trained(out: &mut dyn Write, model: &Model) -> Result<()> {
    writeln!(
        out,
        "run {:?} is at version {}: {}, {} features, {} rows seen",
        model.run_id, model.version, model.detector_name, model.n_features, model.n_rows
    )?;
    let mut facts = Vec::new();
    let of_columns = columns::in_short(&model.columns);
    if !of_columns.is_empty() {
        facts.push(("columns", of_columns));
    }
    facts.push(("threshold", table::optional(model.threshold)));
    if let Some(statistics) = &model.statistics {
        add_counts(&mut facts, statistics);
        if let Some(metrics) = &statistics.label_metrics {
            add_metrics(&mut facts, metrics);
        }
    }
    add_omitted(&mut facts, model);
    table::write_facts(out, &facts)
}

/// Writes everything that is known about a model.
pub(in crate::cli) fn write_model(
    out: &mut dyn Write,
    model: &Model,
    active: u64,
    kept: &[u64],
) -> Result<()> {
    let kept: Vec<_> = kept.iter().map(u64::to_string).collect();
    let unknown = TrainingSpec::default();
    let spec = model.spec.as_ref().unwrap_or(&unknown);
    let mut facts = vec![
        ("run", model.run_id.clone()),
        ("version", model.version.to_string()),
        ("active version", active.to_string()),
        ("kept versions", kept.join(", ")),
        ("detector", model.detector_name.clone()),
        ("parameters", parameters::of(spec)),
        ("scaler", descriptors::word("Scaler", spec.scaler)),
        ("threshold", table::optional(model.threshold)),
    ];
    if let Some(Policy::Contamination(share)) = spec.policy {
        facts.push(("contamination", table::number(share)));
    }
    if !spec.label_column.is_empty() {
        facts.push(("label column", spec.label_column.clone()));
    }
    if let Some(fraction) = spec.validation_fraction {
        facts.push(("validation fraction", table::number(fraction)));
    }
    columns::add_facts(&mut facts, spec, &model.columns);
    if let Some(n) = spec.sample_rows {
        facts.push(("sample rows", n.to_string()));
    }
    facts.push(("rows seen", model.n_rows.to_string()));
    facts.push(("size", ByteSize(model.size_bytes).to_string()));
    if let Some(time) = &model.create_time {
        facts.push(("created", time.to_string()));
    }
    add_omitted(&mut facts, model);
    let Some(statistics) = &model.statistics else {
        facts.push(("features", model.feature_names.join(", ")));
        table::write_facts(out, &facts)?;
        return columns::write(out, &model.columns);
    };
    add_counts(&mut facts, statistics);
    if let Some(metrics) = &statistics.label_metrics {
        add_metrics(&mut facts, metrics);
    }
    if let Some(GaussianMoments {
        n_complete_rows: Some(rows),
        ..
    }) = &statistics.gaussian_moments
    {
        facts.push(("complete rows", rows.to_string()));
    }
    if statistics.features.is_empty() {
        facts.push(("features", model.feature_names.join(", ")));
        table::write_facts(out, &facts)?;
        return columns::write(out, &model.columns);
    }
    table::write_facts(out, &facts)?;
    columns::write(out, &model.columns)?;
    write_features(out, statistics)
}

/// Writes the active versions of runs.
pub(in crate::cli) fn write_list(out: &mut dyn Write, models: &[Model]) -> Result<()> {
    if models.is_empty() {
        writeln!(out, "no runs yet; `anomalyd train RUN FILE` makes one")?;
        return Ok(());
    }
    let mut rows = table::table(
        &[
            "run",
            "version",
            "detector",
            "features",
            "rows seen",
            "threshold",
            "size",
            "created",
        ],
        &["version", "features", "rows seen", "threshold", "size"],
    );
    for model in models {
        rows.add_row([
            table::clean(&model.run_id),
            model.version.to_string(),
            table::clean(&model.detector_name),
            model.n_features.to_string(),
            model.n_rows.to_string(),
            table::optional(model.threshold),
            ByteSize(model.size_bytes).to_string(),
            model
                .create_time
                .as_ref()
                .map_or_else(|| "-".to_owned(), ToString::to_string),
        ]);
    }
    table::write(out, &rows)
}

fn write_features(out: &mut dyn Write, statistics: &TrainingStatistics) -> Result<()> {
    let mut rows = table::table(
        &["feature", "values", "mean", "std", "min", "median", "max"],
        &["values", "mean", "std", "min", "median", "max"],
    );
    for feature in &statistics.features {
        rows.add_row([
            table::clean(&feature.name),
            feature
                .n_values
                .map_or_else(|| "-".to_owned(), |n| n.to_string()),
            table::optional(feature.mean),
            table::optional(feature.std),
            table::optional(feature.min),
            table::optional(feature.median),
            table::optional(feature.max),
        ]);
    }
    table::write(out, &rows)
}

fn add_counts(facts: &mut Vec<(&str, String)>, statistics: &TrainingStatistics) {
    if let (Some(anomalies), Some(rows)) = (statistics.n_anomalies, statistics.n_calibration_rows)
        // a model of given baselines has no training rows
        && rows > 0
    {
        facts.push(("over threshold", table::share(anomalies, rows)));
    }
    for (name, count) in [
        ("missing values", statistics.n_missing_values),
        ("infinite values", statistics.n_infinite_values),
    ] {
        if let Some(count) = count.filter(|&count| count > 0) {
            facts.push((name, count.to_string()));
        }
    }
}

fn add_metrics(facts: &mut Vec<(&str, String)>, metrics: &LabelMetrics) {
    for (name, value) in [
        ("AUROC", metrics.auroc),
        ("average precision", metrics.average_precision),
        ("precision", metrics.precision),
        ("recall", metrics.recall),
        ("F1", metrics.f1),
    ] {
        facts.push((
            name,
            value.map_or_else(|| "-".to_owned(), |v| format!("{v:.3}")),
        ));
    }
}

/// Adds the fields that the server left out, so that they are not taken for absent.
fn add_omitted(facts: &mut Vec<(&str, String)>, model: &Model) {
    if !model.omitted_fields.is_empty() {
        let fields = model.omitted_fields.join(", ");
        facts.push(("too large to show", fields));
    }
}

#[cfg(test)]
mod tests {
    use super::super::written;
    use super::*;
    use crate::proto::v1::training_spec::Detector;
    use crate::proto::v1::{Baseline, FeatureStatistics, IsolationForest, Scaler, ZScore};

    #[test]
    fn a_model_is_shown_with_its_parameters_features_and_metrics() {
        let model = Model {
            run_id: "cards".into(),
            version: 3,
            detector_name: "isolation_forest".into(),
            spec: Some(TrainingSpec {
                detector: Some(Detector::IsolationForest(IsolationForest {
                    n_estimators: Some(100),
                    random_state: Some(0),
                    ..Default::default()
                })),
                policy: Some(Policy::Contamination(0.125)),
                scaler: Scaler::Robust.into(),
                ..Default::default()
            }),
            omitted_fields: vec!["statistics.gaussian_moments".into()],
            statistics: Some(TrainingStatistics {
                n_anomalies: Some(5),
                n_calibration_rows: Some(50),
                features: vec![FeatureStatistics {
                    name: "amount".into(),
                    mean: Some(0.0),
                    ..Default::default()
                }],
                label_metrics: Some(LabelMetrics {
                    auroc: Some(0.9876),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        };
        let text = written(|out| write_model(out, &model, 3, &[2, 3]));
        for expected in [
            "n_estimators=100, random_state=0",
            "2, 3",
            "5 of 50 (10.0%)",
            "0.988",
            "amount",
            "contamination      0.125",
            "scaler             robust",
            "too large to show  statistics.gaussian_moments",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }

    #[test]
    fn baselines_are_shown_as_users_type_them() {
        let baseline = Baseline {
            feature: "x".into(),
            mean: Some(1.5),
            std: Some(2.0),
        };
        let z_score = ZScore {
            multiplier: Some(3.0),
            baselines: vec![baseline],
        };
        let spec = TrainingSpec {
            detector: Some(Detector::ZScore(z_score)),
            ..Default::default()
        };
        assert_eq!(parameters::of(&spec), "multiplier=3, baseline=x:1.5:2");
    }

    #[test]
    fn an_empty_list_says_what_to_do() {
        assert!(written(|out| write_list(out, &[])).contains("anomalyd train"));
        let listed = written(|out| {
            write_list(
                out,
                &[Model {
                    run_id: "a\u{7}".into(),
                    ..Default::default()
                }],
            )
        });
        assert!(!listed.contains('\u{7}'));
    }
}
