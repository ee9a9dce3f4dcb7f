//! Predictions, gathered from scored tables: one for a unary request, any number along a stream.

use std::collections::BTreeSet;

use crate::error::{Error, Result, reason};
use crate::proto::v1;
use crate::runs::Scorer;
use crate::telemetry::Predicted;
use anomaly_detection::features::Gaps;
use anomaly_detection::pipeline::{RowDetail, Scored};

/// The most bytes that an answer may list: names of missing features can multiply a small request.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// The most scores that an answer lists: more than rows of one column in the largest message by default.
const MAX_SCORES: u64 = 1 << 23;

/// The most unknown features that an answer names.
const MAX_UNKNOWN: usize = 100;

/// How much an answer says of each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::service) enum Detail {
    Summary,
    Scores,
    Anomalies,
    Full,
}

impl Detail {
    /// The detail that a request asks for; `unspecified` when it names none.
    pub(in crate::service) fn receive(detail: i32, unspecified: Self) -> Result<Self> {
        match v1::Detail::try_from(detail) {
            Ok(v1::Detail::Unspecified) => Ok(unspecified),
            Ok(v1::Detail::Summary) => Ok(Self::Summary),
            Ok(v1::Detail::Scores) => Ok(Self::Scores),
            Ok(v1::Detail::Anomalies) => Ok(Self::Anomalies),
            Ok(v1::Detail::Full) => Ok(Self::Full),
            Err(_) => Err(Error::field(
                "detail",
                format!(
                    "{detail} is no known detail; give DETAIL_SUMMARY, DETAIL_SCORES, DETAIL_ANOMALIES or DETAIL_FULL"
                ),
            )),
        }
    }
}

/// The answer to a prediction as it grows.
pub(in crate::service) struct Answer {
    scorer: Scorer,
    detail: Detail,
    max_results: Option<usize>,
    n_rows: u64,
    n_anomalies: u64,
    gaps: Gaps,
    unknown_features: BTreeSet<String>,
    scores: Vec<f64>,
    is_anomaly: Vec<bool>,
    rows: Vec<v1::RowPrediction>,
    truncated: bool,
    /// About how many bytes the lists take.
    n_bytes: usize,
}

impl Answer {
    /// An answer without rows yet. It lists at most `max_results` of them and cuts the rest; `None` lists all or fails.
    pub(in crate::service) fn new(
        scorer: Scorer,
        detail: Detail,
        max_results: Option<usize>,
    ) -> Self {
        Self {
            scorer,
            detail,
            max_results,
            n_rows: 0,
            n_anomalies: 0,
            gaps: Gaps::default(),
            unknown_features: BTreeSet::new(),
            scores: Vec::new(),
            is_anomaly: Vec::new(),
            rows: Vec::new(),
            truncated: false,
            n_bytes: 0,
        }
    }

    /// How many rows there are so far.
    pub(in crate::service) fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// Adds the rows of a scored table, in their order.
    ///
    /// Fails when the answer would be larger than the server sends.
    pub(in crate::service) fn add(&mut self, scored: Scored) -> Result<()> {
        let threshold = self.scorer.model.threshold().value;
        let first = self.n_rows;
        self.n_rows += scored.scores.len() as u64;
        self.n_anomalies += scored
            .scores
            .iter()
            .filter(|&&score| score > threshold)
            .count() as u64;
        self.gaps.merge(&scored.gaps);
        let room = MAX_UNKNOWN.saturating_sub(self.unknown_features.len());
        let known = &self.unknown_features;
        let unknown = scored.unknown_features.into_iter();
        let new: Vec<String> = unknown
            .filter(|name| !known.contains(name))
            .take(room)
            .collect();
        self.unknown_features.extend(new);
        match self.detail {
            Detail::Summary => {}
            Detail::Scores => self.add_scores(scored.scores, threshold),
            Detail::Anomalies => {
                let flagged = (first..)
                    .zip(scored.scores)
                    .filter(|&(_, score)| score > threshold);
                self.add_rows(flagged.map(|(row, score)| plain_row(row, score, threshold)))?;
            }
            Detail::Full => {
                let names = self.scorer.model.clone();
                let names = names.features().schema.features();
                let rows = (first..).zip(scored.scores).zip(scored.details);
                let rows = rows
                    .map(|((row, score), detail)| full_row(row, score, threshold, detail, names));
                self.add_rows(rows)?;
                // rows that there was no room for came without details
                self.truncated |= (self.rows.len() as u64) < self.n_rows;
            }
        }
        Ok(())
    }

    /// Fails when so many rows in all would make the answer larger than the server sends, and it may not be cut: before any
    /// work is done for it.
    pub(in crate::service) fn check_room(&self, n_rows: u64) -> Result<()> {
        if self.max_results.is_some() {
            return Ok(());
        }
        let full = n_rows.saturating_mul(size_of::<v1::RowPrediction>() as u64);
        match self.detail {
            Detail::Scores if n_rows > MAX_SCORES => Err(Error::new(
                reason::ANSWER_TOO_LARGE,
                format!(
                    "the answer would list {n_rows} scores, more than {MAX_SCORES}; ask for DETAIL_ANOMALIES or \
                     DETAIL_SUMMARY, or send fewer rows"
                ),
            )),
            Detail::Full if full > MAX_ANSWER_BYTES as u64 => Err(too_large()),
            _ => Ok(()),
        }
    }

    /// Whether the details of the next rows are needed.
    pub(in crate::service) fn wants_details(&self) -> bool {
        self.detail == Detail::Full && self.room(self.rows.len()) > 0
    }

    /// How many more results may be listed after these. None after a cut, so that what is listed has no holes.
    fn room(&self, n_listed: usize) -> usize {
        match self.max_results {
            _ if self.truncated => 0,
            Some(most) => most - n_listed,
            None => usize::MAX,
        }
    }

    fn add_scores(&mut self, mut scores: Vec<f64>, threshold: f64) {
        let room = self.room(self.scores.len());
        if scores.len() > room {
            scores.truncate(room);
            self.truncated = true;
        }
        self.is_anomaly
            .extend(scores.iter().map(|&score| score > threshold));
        if self.scores.is_empty() {
            self.scores = scores;
        } else {
            self.scores.extend(scores);
        }
    }

    fn add_rows(&mut self, mut rows: impl Iterator<Item = v1::RowPrediction>) -> Result<()> {
        let room = self.room(self.rows.len());
        for row in rows.by_ref().take(room) {
            self.n_bytes += n_bytes(&row);
            if self.n_bytes > MAX_ANSWER_BYTES {
                self.truncated = true;
                return if self.max_results.is_some() {
                    Ok(())
                } else {
                    Err(too_large())
                };
            }
            self.rows.push(row);
        }
        self.truncated |= rows.next().is_some();
        Ok(())
    }

    /// What is counted of it.
    pub(in crate::service) fn counts(&self) -> Predicted {
        let n_missing_features = self
            .gaps
            .features
            .iter()
            .filter(|missing| **missing)
            .count();
        Predicted {
            n_rows: self.n_rows,
            n_anomalies: self.n_anomalies,
            n_missing_values: self.gaps.n_missing,
            n_infinite_values: self.gaps.n_infinite,
            n_missing_features: n_missing_features as u64,
            n_unknown_features: self.unknown_features.len() as u64,
        }
    }

    fn summary(&self) -> v1::PredictionSummary {
        let model = &self.scorer.model;
        let features = model.features().schema.features();
        let missing = features
            .iter()
            .zip(&self.gaps.features)
            .filter(|(_, missing)| **missing);
        v1::PredictionSummary {
            run_id: self.scorer.run_id.as_str().to_owned(),
            version: self.scorer.version,
            threshold: Some(model.threshold().value),
            n_rows: Some(self.n_rows),
            n_anomalies: Some(self.n_anomalies),
            n_missing_values: Some(self.gaps.n_missing),
            n_infinite_values: Some(self.gaps.n_infinite),
            missing_features: missing.map(|(name, _)| name.clone()).collect(),
            unknown_features: self.unknown_features.iter().cloned().collect(),
        }
    }
}

impl From<Answer> for v1::PredictResponse {
    fn from(answer: Answer) -> Self {
        Self {
            summary: Some(answer.summary()),
            scores: answer.scores,
            is_anomaly: answer.is_anomaly,
            rows: answer.rows,
        }
    }
}

impl From<Answer> for v1::PredictStreamResponse {
    fn from(answer: Answer) -> Self {
        Self {
            summary: Some(answer.summary()),
            scores: answer.scores,
            is_anomaly: answer.is_anomaly,
            rows: answer.rows,
            truncated: Some(answer.truncated),
        }
    }
}

fn too_large() -> Error {
    Error::new(
        reason::ANSWER_TOO_LARGE,
        format!(
            "the answer would list more than {MAX_ANSWER_BYTES} bytes; ask for less detail, or send fewer rows"
        ),
    )
}

/// About how many bytes a row takes in memory, and at most on the wire.
fn n_bytes(row: &v1::RowPrediction) -> usize {
    let names: usize = row
        .missing_features
        .iter()
        .map(|name| size_of::<String>() + name.len())
        .sum();
    size_of::<v1::RowPrediction>() + names + size_of_val(row.z_scores.as_slice())
}

fn plain_row(row: u64, score: f64, threshold: f64) -> v1::RowPrediction {
    v1::RowPrediction {
        row: Some(row),
        score: Some(score),
        is_anomaly: Some(score > threshold),
        ..v1::RowPrediction::default()
    }
}

fn full_row(
    row: u64,
    score: f64,
    threshold: f64,
    detail: RowDetail,
    names: &[String],
) -> v1::RowPrediction {
    v1::RowPrediction {
        missing_features: detail
            .missing_features
            .into_iter()
            .map(|feature| names[feature].clone())
            .collect(),
        z_scores: detail.z_scores.unwrap_or_default(),
        gaussian: detail.gaussian.map(|gaussian| v1::GaussianRow {
            mahalanobis: Some(gaussian.mahalanobis),
            log_density: Some(gaussian.log_density),
            density: Some(gaussian.density),
            normalized_density: Some(gaussian.normalized_density),
        }),
        ..plain_row(row, score, threshold)
    }
}
