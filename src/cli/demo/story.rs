//! The steps of the demo.

use std::io::Write;

use serde_json::{Map, Value, json};

use super::data::{self, BREAST_CANCER, FLOW, LABEL, WATER_FLOW};
use crate::cli::connect::Client;
use crate::cli::error::{Error, Result, answered};
use crate::cli::input::{self, Limits};
use crate::cli::models;
use crate::cli::render::chart::{self, Series};
use crate::cli::render::plot::{self, Group};
use crate::cli::render::{json as protojson, model, prediction};
use crate::proto::v1::predict_stream_request::Part;
use crate::proto::v1::training_spec::{Detector, Policy};
use crate::proto::v1::{
    AnswerOptions, AnswerRows, Baseline, DeleteRunRequest, Detail, Gaussian, IsolationForest,
    Matrix, PredictRequest, PredictStreamEnd, PredictStreamHeader, PredictStreamRequest,
    Predictions, Records, TrainRequest, TrainingSpec, UpdateRequest, ZScore, records,
};

const CANCER_RUN: &str = "breast-cancer";
const FLOW_RUN: &str = "water-flow";
const BASELINE_RUN: &str = "water-flow-baseline";

/// The known flow of the pipe in l/s, as mean and standard deviation.
const KNOWN_FLOW: (f64, f64) = (102.0, 1.5);

const PLOT_WIDTH: usize = 76;
const BINS: usize = 14;
const ROWS_PER_MESSAGE: usize = 100;

/// A running demo: its client, its output, and what it found so far, for `--json`.
pub(super) struct Story<'a> {
    client: Client,
    out: &'a mut dyn Write,
    found: Map<String, Value>,
}

impl<'a> Story<'a> {
    pub(super) fn new(client: Client, out: &'a mut dyn Write) -> Self {
        Self {
            client,
            out,
            found: Map::new(),
        }
    }

    /// Runs all steps, and returns what they found.
    pub(super) async fn tell(mut self) -> Result<Value> {
        self.train_forest().await?;
        let scores = self.predict_rows().await?;
        self.stream_rows(&scores).await?;
        self.update_forest().await?;
        self.learn_flow().await?;
        self.score_flow_by_baseline().await?;
        self.list().await?;
        self.delete().await?;
        Ok(Value::Object(self.found))
    }

    async fn train_forest(&mut self) -> Result<()> {
        self.title("train an isolation forest: 569 breast masses, 30 measures of each, no labels to learn from")?;
        let spec = TrainingSpec {
            detector: Some(Detector::IsolationForest(IsolationForest::default())),
            // 37% of the masses are malignant
            policy: Some(Policy::Contamination(0.37)),
            label_column: LABEL.to_owned(),
            ..Default::default()
        };
        let request = TrainRequest {
            run_id: CANCER_RUN.to_owned(),
            spec: Some(spec),
            records: Some(table()),
            ..Default::default()
        };
        let response = self.client.train(request).await?.into_inner();
        self.found.insert(
            "train".to_owned(),
            protojson::value("TrainResponse", &response)?,
        );
        model::write_trained(self.out, answered(response.model.as_ref(), "a model")?)?;
        self.flush()
    }

    async fn predict_rows(&mut self) -> Result<Vec<f64>> {
        self.title(
            "predict: score every row, and hold the decisions against what the doctors found",
        )?;
        let request = PredictRequest {
            run_id: CANCER_RUN.to_owned(),
            records: Some(table()),
            answer: Some(every_score()),
            version: None,
        };
        let response = self.client.predict(request).await?.into_inner();
        let answer = response.predictions.unwrap_or_default();
        let labels: Vec<bool> = data::column(BREAST_CANCER, LABEL)?
            .iter()
            .map(|&label| label == 1.0)
            .collect();
        counted(&answer, labels.len())?;

        let compared = data::compare(&answer.is_anomaly, &labels);
        let summary = answer.summary.unwrap_or_default();
        self.found.insert(
            "predict".to_owned(),
            json!({"summary": protojson::value("PredictionSummary", &summary)?, "comparison": compared}),
        );
        prediction::write_summary(self.out, &summary)?;
        writeln!(
            self.out,
            "flagged: {} malignant, {} benign; missed: {} malignant; precision {:.3}, recall {:.3}",
            compared.true_positives,
            compared.false_positives,
            compared.false_negatives,
            compared.precision,
            compared.recall
        )?;
        let of = |wanted: bool| {
            let pairs = answer.scores.iter().zip(&labels);
            pairs
                .filter(|&(_, &label)| label == wanted)
                .map(|(&score, _)| score)
                .collect()
        };
        let groups = [
            Group {
                name: "malignant",
                glyph: '█',
                values: of(true),
            },
            Group {
                name: "benign",
                glyph: '░',
                values: of(false),
            },
        ];
        writeln!(
            self.out,
            "\nhow many rows have which score   {}",
            plot::legend(&groups)
        )?;
        write!(
            self.out,
            "{}",
            plot::histogram(&groups, BINS, PLOT_WIDTH, summary.threshold)
        )?;
        self.flush()?;
        Ok(answer.scores)
    }

    async fn stream_rows(&mut self, scores: &[f64]) -> Result<()> {
        self.title("stream: the same rows, a hundred at a time")?;
        let mut parts = vec![Part::Header(PredictStreamHeader {
            run_id: CANCER_RUN.to_owned(),
            answer: Some(every_score()),
            ..Default::default()
        })];
        let mut chunks = data::chunks(BREAST_CANCER)?;
        let limits = Limits {
            rows: ROWS_PER_MESSAGE,
            ..Limits::NONE
        };
        let mut rows = 0;
        while let Some(chunk) = chunks.next(limits)? {
            rows += chunk.rows as u64;
            parts.push(Part::Records(input::csv_records(chunk.content)));
        }
        parts.push(Part::End(PredictStreamEnd { rows: Some(rows) }));
        let messages = parts.len();
        let requests = parts
            .into_iter()
            .map(|part| PredictStreamRequest { part: Some(part) });
        let response = self
            .client
            .predict_stream(tokio_stream::iter(requests))
            .await?
            .into_inner();

        let same = response.predictions.unwrap_or_default().scores == scores;
        if !same {
            return Err(Error::failed(
                "the stream and the single request gave different scores",
            ));
        }
        self.found.insert(
            "stream".to_owned(),
            json!({"messages": messages, "rows": rows, "same_scores": same}),
        );
        writeln!(
            self.out,
            "{messages} messages, {rows} rows: every score is the same to the last bit"
        )?;
        self.flush()
    }

    async fn update_forest(&mut self) -> Result<()> {
        self.title(
            "update: learn from more rows; the version before stays, and can still be asked",
        )?;
        let mut chunks = data::chunks(BREAST_CANCER)?;
        let Some(chunk) = chunks.next(Limits {
            rows: ROWS_PER_MESSAGE,
            ..Limits::NONE
        })?
        else {
            return Err(Error::failed("the demo's data has no rows"));
        };
        let request = UpdateRequest {
            run_id: CANCER_RUN.to_owned(),
            records: Some(input::csv_records(chunk.content)),
            request_id: String::new(),
        };
        let response = self.client.update(request).await?.into_inner();
        self.found.insert(
            "update".to_owned(),
            protojson::value("UpdateResponse", &response)?,
        );
        model::write_trained(self.out, answered(response.model.as_ref(), "a model")?)?;
        self.flush()
    }

    async fn learn_flow(&mut self) -> Result<()> {
        self.title(
            "another detector: a Gaussian learns the flow of water through a pipe, an hour a row",
        )?;
        let spec = TrainingSpec {
            detector: Some(Detector::Gaussian(Gaussian::default())),
            policy: Some(Policy::Contamination(0.04)),
            ..Default::default()
        };
        let request = TrainRequest {
            run_id: FLOW_RUN.to_owned(),
            spec: Some(spec),
            records: Some(flow()?),
            ..Default::default()
        };
        let response = self.client.train(request).await?.into_inner();
        self.found.insert(
            "gaussian".to_owned(),
            protojson::value("TrainResponse", &response)?,
        );
        model::write_trained(self.out, answered(response.model.as_ref(), "a model")?)?;
        self.score_flow(FLOW_RUN, "gaussian_predict").await
    }

    async fn score_flow_by_baseline(&mut self) -> Result<()> {
        let (mean, std) = KNOWN_FLOW;
        self.title(&format!(
            "no data at all: a z-score from a given baseline of {mean} l/s, give or take {std}"
        ))?;
        let baseline = Baseline {
            feature: FLOW.to_owned(),
            mean: Some(mean),
            std: Some(std),
        };
        let spec = TrainingSpec {
            detector: Some(Detector::ZScore(ZScore {
                multiplier: Some(4.0),
                baselines: vec![baseline],
            })),
            ..Default::default()
        };
        let request = TrainRequest {
            run_id: BASELINE_RUN.to_owned(),
            spec: Some(spec),
            ..Default::default()
        };
        let response = self.client.train(request).await?.into_inner();
        self.found.insert(
            "z_score".to_owned(),
            protojson::value("TrainResponse", &response)?,
        );
        model::write_trained(self.out, answered(response.model.as_ref(), "a model")?)?;
        self.score_flow(BASELINE_RUN, "z_score_predict").await
    }

    /// Scores the water flow and draws it with its flags.
    async fn score_flow(&mut self, run: &str, name: &str) -> Result<()> {
        let request = PredictRequest {
            run_id: run.to_owned(),
            records: Some(flow()?),
            answer: Some(every_score()),
            version: None,
        };
        let response = self.client.predict(request).await?.into_inner();
        let answer = response.predictions.unwrap_or_default();
        let values = data::column(WATER_FLOW, FLOW)?;
        counted(&answer, values.len())?;
        let summary = answer.summary.unwrap_or_default();
        self.found.insert(
            name.to_owned(),
            protojson::value("PredictionSummary", &summary)?,
        );
        prediction::write_summary(self.out, &summary)?;
        let flow = Series {
            title: FLOW,
            values: &values,
            flagged: &answer.is_anomaly,
            ends: ["March", "May"],
        };
        chart::write(self.out, &flow)?;
        self.flush()
    }

    async fn list(&mut self) -> Result<()> {
        self.title("list the runs")?;
        let models = models::list(&mut self.client).await?;
        let runs: Vec<_> = models.iter().map(|model| model.run_id.clone()).collect();
        self.found.insert("runs".to_owned(), json!(runs));
        model::write_list(self.out, &models)?;
        self.flush()
    }

    async fn delete(&mut self) -> Result<()> {
        self.title("clean up")?;
        for run in [CANCER_RUN, FLOW_RUN, BASELINE_RUN] {
            let request = DeleteRunRequest {
                run_id: run.to_owned(),
            };
            let versions = self
                .client
                .delete_run(request)
                .await?
                .into_inner()
                .n_versions
                .unwrap_or(0);
            writeln!(
                self.out,
                "run {run:?} is deleted, with {versions} version(s)"
            )?;
        }
        let left = models::list(&mut self.client).await?;
        if !left.is_empty() {
            return Err(Error::failed(
                "runs are still there after they were deleted",
            ));
        }
        self.flush()
    }

    fn title(&mut self, text: &str) -> Result<()> {
        writeln!(self.out, "\n── {text}")?;
        self.flush()
    }

    /// Shows a step as soon as it is done.
    fn flush(&mut self) -> Result<()> {
        self.out.flush()?;
        Ok(())
    }
}

fn counted(answer: &Predictions, rows: usize) -> Result<()> {
    if answer.scores.len() == rows && answer.is_anomaly.len() == rows {
        return Ok(());
    }
    Err(Error::failed(format!(
        "the server answered {} scores for {rows} rows",
        answer.scores.len()
    )))
}

/// The score of every row.
fn every_score() -> AnswerOptions {
    AnswerOptions {
        rows: AnswerRows::All.into(),
        detail: Detail::Score.into(),
        max_bytes: None,
    }
}

fn table() -> Records {
    input::csv_records(BREAST_CANCER)
}

/// The water flow as a matrix of one column, without its times.
fn flow() -> Result<Records> {
    let matrix = Matrix {
        feature_names: vec![FLOW.to_owned()],
        values: data::column(WATER_FLOW, FLOW)?,
        ..Default::default()
    };
    Ok(Records {
        form: Some(records::Form::Matrix(matrix)),
        ..Default::default()
    })
}
