//! `train` and `update`: models from files and datasets.

use std::io::Write;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;

use super::connect::{self, Connection};
use super::error::{Error, Result, answered};
use super::input::{self, FileArgs, Whole};
use super::long_call::{LongCall, Target};
use super::params::{self, Param};
use super::render::{json, model};
use super::{Format, descriptors, version};
use crate::proto::v1::training_spec::{Detector, Policy};
use crate::proto::v1::{TrainRequest, TrainingSpec, UpdateRequest, VersionSelector};

mod columns;

use columns::{ColumnArgs, EngineeringArgs};

/// The arguments of `train`.
#[derive(Debug, clap::Args)]
pub(super) struct TrainArgs {
    /// The run to add a version to; it is created when it does not exist
    run: String,
    /// The file to learn from: CSV, JSON, JSON Lines, Parquet or Arrow IPC; - for the standard input. Left out when a dataset is
    /// named, or z_score is given baselines
    file: Option<PathBuf>,
    /// The dataset to learn from, in the place of a file
    #[arg(long, value_name = "ID", conflicts_with_all = ["file", "FileArgs"])]
    dataset: Option<String>,
    /// The detector; without it, auto
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(params::detector_names()))]
    detector: Option<String>,
    /// A parameter of the detector, as in n_estimators=200, class_weight=balanced or baseline=FEATURE:MEAN:STD; may be repeated
    #[arg(long = "param", short = 'p', value_name = "KEY=VALUE", long_help = params_help())]
    params: Vec<Param>,
    /// The share of training rows to flag, in (0, 0.5]; without it, 0.1
    #[arg(long, value_name = "SHARE", conflicts_with = "threshold")]
    contamination: Option<f64>,
    /// The score above which a row is an anomaly
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    threshold: Option<f64>,
    /// How to scale features; without it, the detector's default
    #[arg(long, value_name = "WAY", value_parser = descriptors::word_parser("Scaler", &[]))]
    scaler: Option<i32>,
    /// The share of rows to hold out for measuring a detector that learns from labels; without it,
    /// 0.2
    #[arg(long, value_name = "SHARE")]
    validation_fraction: Option<f64>,
    /// Learn from a uniform sample of this many rows if there are more; without it, from all
    #[arg(long, value_name = "N")]
    sample_rows: Option<u64>,
    /// Take whatever is not given here from a version of the run, by its number or alias
    #[arg(long, value_name = "N|ALIAS", value_parser = version::selector)]
    like_version: Option<VersionSelector>,
    #[command(flatten)]
    common: WriteArgs,
    #[command(flatten)]
    columns: ColumnArgs,
    #[command(flatten)]
    engineering: EngineeringArgs,
    #[command(flatten)]
    file_args: FileArgs,
    #[command(flatten)]
    connection: Connection,
}

fn params_help() -> String {
    format!(
        "A parameter of the detector, as in n_estimators=200, class_weight=balanced or baseline=FEATURE:MEAN:STD; may be \
         repeated. The comments of the API say what each one means.\n\n{}",
        params::detector_params()
    )
}

/// The arguments of `update`.
#[derive(Debug, clap::Args)]
pub(super) struct UpdateArgs {
    /// The run to update
    run: String,
    /// The file with the new rows, in any format; - for the standard input. Left out when a dataset is named
    file: Option<PathBuf>,
    /// The dataset with the new rows, in the place of a file
    #[arg(long, value_name = "ID", conflicts_with_all = ["file", "FileArgs"])]
    dataset: Option<String>,
    /// A column of a CSV file to leave out of what is sent, which the model does not know; may be repeated
    #[arg(long, value_name = "COLUMN", conflicts_with = "dataset")]
    drop: Vec<String>,
    #[command(flatten)]
    common: WriteArgs,
    #[command(flatten)]
    file_args: FileArgs,
    #[command(flatten)]
    connection: Connection,
}

/// The options of all commands that create something on the server.
#[derive(Debug, clap::Args)]
pub(super) struct WriteArgs {
    /// A key that makes it safe to run the same command again after a failure; without it, one is made up, for the case that the
    /// connection breaks
    #[arg(long, value_name = "KEY")]
    pub(super) request_id: Option<String>,
    #[command(flatten)]
    pub(super) format: Format,
}

impl TrainArgs {
    pub(super) async fn run(&self, out: &mut dyn Write) -> Result<()> {
        let mut request = self.request()?;
        let transport = self.connection.transport().await?;
        let target = Target::Run(self.run.clone());
        let request_id = &mut request.request_id;
        let call = LongCall::new(&self.connection, transport.clone(), target, request_id);
        let mut client = connect::client(transport);
        let train = async || Ok(client.train(request.clone()).await?.into_inner());
        let response = call.make(train).await?;
        if self.common.format.json {
            return json::write(out, "TrainResponse", &response);
        }
        model::write_trained(out, answered(response.model.as_ref(), "a model")?)
    }

    fn request(&self) -> Result<TrainRequest> {
        let detector = params::detector(self.detector.as_deref(), &self.params)?;
        let given = matches!(&detector, Some(Detector::ZScore(z)) if !z.baselines.is_empty());
        // clap lets only one of file and dataset through
        let records = match (&self.file, &self.dataset, given) {
            (Some(file), _, false) => Some(Whole::read(file, &self.file_args)?.records(&[])?),
            (None, Some(id), false) => Some(input::dataset_records(id)),
            (None, None, true) => None,
            (None, None, false) => {
                return Err(Error::usage(
                    "name the file to learn from, or a dataset: anomalyd train RUN FILE, or anomalyd train RUN --dataset ID",
                ));
            }
            (_, _, true) => {
                return Err(Error::usage(
                    "given baselines take the place of a file; leave out FILE and --dataset, or the baselines",
                ));
            }
        };
        let contamination = self.contamination.map(Policy::Contamination);
        let spec = TrainingSpec {
            detector,
            // clap lets only one of them through
            policy: contamination.or(self.threshold.map(Policy::Threshold)),
            scaler: self.scaler.unwrap_or_default(),
            validation_fraction: self.validation_fraction,
            sample_rows: self.sample_rows,
            feature_engineering: self.engineering.message()?,
            ..self.columns.spec()
        };
        Ok(TrainRequest {
            run_id: self.run.clone(),
            spec: Some(spec),
            records,
            like_version: self.like_version.clone(),
            request_id: self.common.request_id.clone().unwrap_or_default(),
        })
    }
}

impl UpdateArgs {
    pub(super) async fn run(&self, out: &mut dyn Write) -> Result<()> {
        let mut request = self.request()?;
        let transport = self.connection.transport().await?;
        let target = Target::Run(self.run.clone());
        let request_id = &mut request.request_id;
        let call = LongCall::new(&self.connection, transport.clone(), target, request_id);
        let mut client = connect::client(transport);
        let update = async || Ok(client.update(request.clone()).await?.into_inner());
        let response = call.make(update).await?;
        if self.common.format.json {
            return json::write(out, "UpdateResponse", &response);
        }
        model::write_trained(out, answered(response.model.as_ref(), "a model")?)
    }

    fn request(&self) -> Result<UpdateRequest> {
        let records = match (&self.file, &self.dataset) {
            (Some(file), _) => Whole::read(file, &self.file_args)?.records(&self.drop)?,
            (None, Some(id)) => input::dataset_records(id),
            (None, None) => {
                return Err(Error::usage(
                    "name the file with the new rows, or a dataset: anomalyd update RUN FILE, or anomalyd update RUN --dataset ID",
                ));
            }
        };
        Ok(UpdateRequest {
            run_id: self.run.clone(),
            records: Some(records),
            request_id: self.common.request_id.clone().unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests;
