//! `--target`, `--engineer` and the other options of columns and feature engineering.

use crate::cli::descriptors;
use crate::cli::error::{Error, Result};
use crate::proto::v1::{FeatureEngineering, TrainingSpec};

/// The roles of columns.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Columns")]
pub(super) struct ColumnArgs {
    /// The feature that lags and rolling statistics are made of with --engineer
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,
    /// A column to learn from; may be repeated, or a list with commas. Without any, every column that has no other role
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    feature: Vec<String>,
    /// The column that holds the time of each row; without it, one is detected
    #[arg(long, value_name = "COLUMN")]
    time_column: Option<String>,
    /// The column that says which series each row belongs to, such as a sensor: each has a history of its own
    #[arg(long, value_name = "COLUMN")]
    series_column: Option<String>,
    /// A column to leave out, now and in later files; may be repeated
    #[arg(long, value_name = "COLUMN")]
    ignore: Vec<String>,
    /// A column with known labels, 1 for an anomaly: learned from by random_forest and logistic_regression, compared with by
    /// every other detector
    #[arg(long, value_name = "COLUMN")]
    label_column: Option<String>,
    /// How the columns of later files may differ; without it, strict
    #[arg(long, value_name = "POLICY", value_parser = descriptors::word_parser("FeaturePolicy", &[]))]
    feature_policy: Option<i32>,
    /// How missing numbers are replaced; without it, by the median
    #[arg(long, value_name = "WAY", value_parser = descriptors::word_parser("Imputation", &[]))]
    imputation: Option<i32>,
    /// The most distinct texts of a feature that get a column each; with more, a text becomes its frequency. 0 to 256; without
    /// it, 16
    #[arg(long, value_name = "N")]
    max_one_hot: Option<u32>,
}

/// Feature engineering.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Feature engineering")]
pub(super) struct EngineeringArgs {
    /// Add features of the rows before each row in its series, and of its time: lags, rolling mean, standard deviation and
    /// z-score, the difference from the row before, and where in the day, week and year it is
    #[arg(long)]
    engineer: bool,
    /// How many rows back the lagged values of a row are, with commas; 0 for none. Without it, 1,2,3,7
    #[arg(
        long,
        value_name = "ROWS",
        value_delimiter = ',',
        requires = "engineer"
    )]
    lags: Vec<u32>,
    /// The numbers of rows that rolling statistics cover, with commas; 0 for none. Without it, 7,24
    #[arg(
        long,
        value_name = "ROWS",
        value_delimiter = ',',
        requires = "engineer"
    )]
    windows: Vec<u32>,
    /// A column to make features of; may be repeated. Without any, the target, or the only feature
    #[arg(long, value_name = "COLUMN", requires = "engineer")]
    engineer_column: Vec<String>,
    /// A kind of features to leave out; may be repeated, or a list with commas
    #[arg(long, value_name = "KIND", value_delimiter = ',', requires = "engineer", value_parser = descriptors::flags_of("FeatureEngineering"))]
    without: Vec<String>,
}

impl ColumnArgs {
    /// A spec with the roles of columns, and nothing else.
    pub(super) fn spec(&self) -> TrainingSpec {
        let name = |column: &Option<String>| column.clone().unwrap_or_default();
        TrainingSpec {
            target_column: name(&self.target),
            feature_columns: self.feature.clone(),
            time_column: name(&self.time_column),
            series_column: name(&self.series_column),
            ignore_columns: self.ignore.clone(),
            label_column: name(&self.label_column),
            feature_policy: self.feature_policy.unwrap_or_default(),
            imputation: self.imputation.unwrap_or_default(),
            max_one_hot_categories: self.max_one_hot,
            ..TrainingSpec::default()
        }
    }
}

impl EngineeringArgs {
    /// The feature engineering, if it is asked for.
    pub(super) fn message(&self) -> Result<Option<FeatureEngineering>> {
        if !self.engineer {
            return Ok(None);
        }
        let kept = |kind: &str| {
            self.without
                .iter()
                .any(|word| word == kind)
                .then_some(false)
        };
        Ok(Some(FeatureEngineering {
            columns: self.engineer_column.clone(),
            lags: rows("lags", &self.lags)?,
            rolling_windows: rows("windows", &self.windows)?,
            rolling_mean: kept("rolling_mean"),
            rolling_std: kept("rolling_std"),
            rolling_z_score: kept("rolling_z_score"),
            difference: kept("difference"),
            hour: kept("hour"),
            day_of_week: kept("day_of_week"),
            month: kept("month"),
        }))
    }
}

fn rows(option: &str, given: &[u32]) -> Result<Vec<u32>> {
    if given.len() > 1 && given.contains(&0) {
        return Err(Error::usage(format!(
            "--{option} is 0 for none, or a list without 0"
        )));
    }
    Ok(given.to_vec())
}
