//! Gathers predictions from scored tables: one table in a unary request, any number in a stream, a page of a dataset.

use std::collections::BTreeSet;

use prost::Message as _;
use prost::length_delimiter_len;

use super::answer_options::{AnswerOptions, Detail, ListedRows};
use super::answer_size::{
    FRAME_BYTES, PACKED_BYTES, detail_bytes, id_bytes, min_row_bytes, object_bytes, packed_bytes,
};
use crate::error::{Error, Result, reason};
use crate::memory::AnswerMemory;
use crate::proto::v1;
use crate::runs::{Scorer, Sink};
use crate::telemetry::Predicted;
use anomaly_detection::features::Gaps;
use anomaly_detection::pipeline::{Describe, Model, RowDetail, Scored};

/// The most names in a list of names.
pub(super) const MAX_NAMES: usize = 100;

/// How many bytes of memory are asked for at a time, once an answer is not short any more.
const STEP_BYTES: u64 = 64 << 10;

/// The answer to a prediction, while rows are added to it.
pub(in crate::service) struct Answer {
    scorer: Scorer,
    rows: ListedRows,
    /// `None` until the number of rows is known, since a single row is described in full.
    detail: Option<Detail>,
    max_bytes: u64,
    /// The index of the first row.
    first_row: u64,
    n_rows: u64,
    n_anomalies: u64,
    gaps: Gaps,
    unknown_features: BTreeSet<String>,
    lists: v1::Predictions,
    truncated: bool,
    /// An upper bound of the bytes of the encoded answer.
    n_bytes: u64,
    /// The memory of the answer, and how much of it the lists and their encoding take at most.
    memory: AnswerMemory,
    n_held: u64,
    n_reserved: u64,
}

impl Answer {
    /// An empty answer; `rows` are those that it lists by default.
    pub(in crate::service) fn new(
        scorer: Scorer,
        options: AnswerOptions,
        rows: ListedRows,
        memory: AnswerMemory,
    ) -> Self {
        Self {
            scorer,
            rows: options.rows.unwrap_or(rows),
            detail: options.detail,
            max_bytes: options.max_bytes,
            first_row: 0,
            n_rows: 0,
            n_anomalies: 0,
            gaps: Gaps::default(),
            unknown_features: BTreeSet::new(),
            lists: v1::Predictions::default(),
            truncated: false,
            n_bytes: FRAME_BYTES,
            memory,
            n_held: 0,
            n_reserved: 0,
        }
    }

    /// Sets the index of the first row.
    pub(in crate::service) fn at_row(mut self, first_row: u64) -> Self {
        self.first_row = first_row;
        self
    }

    /// Makes scores the default detail.
    pub(in crate::service) fn with_scores(mut self) -> Self {
        self.detail.get_or_insert(Detail::Score);
        self
    }

    /// The number of rows so far.
    pub(in crate::service) fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// The numbers for the metrics.
    pub(in crate::service) fn counts(&self) -> Predicted {
        Predicted {
            n_predictions: 1,
            n_rows: self.n_rows,
            n_anomalies: self.n_anomalies,
            n_missing_values: self.gaps.n_missing,
            n_infinite_values: self.gaps.n_infinite,
            n_missing_features: self.n_missing_features(),
            n_unknown_features: self.unknown_features.len() as u64,
        }
    }

    fn n_missing_features(&self) -> u64 {
        self.gaps
            .features
            .iter()
            .filter(|missing| **missing)
            .count() as u64
    }

    fn is_full(&self) -> bool {
        self.detail == Some(Detail::Full)
    }

    /// Whether a row with this verdict is listed, if it fits.
    fn is_listed(&self, is_anomaly: bool) -> bool {
        match self.rows {
            ListedRows::All => true,
            ListedRows::Anomalies => is_anomaly,
            ListedRows::None => false,
        }
    }

    /// Lists the rows of a table in packed arrays, as long as they fit.
    ///
    /// Fails when there is no memory for them.
    fn list_packed(
        &mut self,
        scores: &[f64],
        verdicts: &[bool],
        ids: Option<Vec<String>>,
    ) -> Result<()> {
        let mut ids = ids.map(Vec::into_iter);
        for (row, (&score, &is_anomaly)) in
            (self.first_row + self.n_rows..).zip(scores.iter().zip(verdicts))
        {
            let id = ids.as_mut().and_then(Iterator::next);
            if !self.is_listed(is_anomaly) {
                continue;
            }
            let index = (self.rows == ListedRows::Anomalies).then_some(row);
            let n_index = index.map_or(0, |index| length_delimiter_len(index as usize) as u64);
            if !self.take_room(PACKED_BYTES + n_index + id.as_deref().map_or(0, id_bytes)) {
                return Ok(());
            }
            let id_bytes = id.as_ref().map(|id| id.len() as u64);
            self.hold(packed_bytes(index.is_some(), id_bytes))?;
            self.lists.row_indices.extend(index);
            self.lists.row_ids.extend(id);
            self.lists.scores.push(score);
            self.lists.is_anomaly.push(is_anomaly);
        }
        Ok(())
    }

    /// Lists the rows of a table as objects, as long as they fit.
    ///
    /// Fails when not even one fits, and when there is no memory for them.
    fn list_objects(
        &mut self,
        scores: &[f64],
        verdicts: &[bool],
        details: Vec<RowDetail>,
        ids: Option<Vec<String>>,
    ) -> Result<()> {
        let scorer = self.scorer.clone();
        let mut ids = ids.map(Vec::into_iter);
        let mut details = details.into_iter();
        for (row, (&score, &is_anomaly)) in
            (self.first_row + self.n_rows..).zip(scores.iter().zip(verdicts))
        {
            let row_id = ids.as_mut().and_then(Iterator::next).unwrap_or_default();
            if !self.is_listed(is_anomaly) {
                continue;
            }
            let Some(detail) = details.next() else {
                // there was no room to describe more rows
                self.truncated = true;
                return Ok(());
            };
            let plain = v1::RowPrediction {
                row: Some(row),
                row_id,
                score: Some(score),
                is_anomaly: Some(is_anomaly),
                ..v1::RowPrediction::default()
            };
            let listed = described(plain, detail, &scorer.model);
            let n_bytes = listed.encoded_len();
            let n_bytes = (1 + length_delimiter_len(n_bytes) + n_bytes) as u64;
            if !self.take_room(n_bytes) {
                return match self.lists.rows.is_empty() {
                    true => Err(self.object_too_large(row, n_bytes)),
                    false => Ok(()),
                };
            }
            self.hold(object_bytes(&listed) + n_bytes)?;
            self.lists.rows.push(listed);
        }
        Ok(())
    }

    fn object_too_large(&self, row: u64, n_bytes: u64) -> Error {
        let message = format!(
            "the object of row {row} makes an answer of up to {} bytes, and answer.max_bytes is {}; raise it, along with the limit \
             of the client, or ask for DETAIL_SCORE",
            FRAME_BYTES + n_bytes,
            self.max_bytes
        );
        Error::new(reason::ANSWER_TOO_LARGE, message).at("answer.max_bytes")
    }

    /// Reserves bytes. Once they do not fit, nothing more is listed.
    fn take_room(&mut self, n_bytes: u64) -> bool {
        self.truncated |= self.n_bytes + n_bytes > self.max_bytes;
        if !self.truncated {
            self.n_bytes += n_bytes;
        }
        !self.truncated
    }

    /// Takes memory for what is about to be listed.
    fn hold(&mut self, n_bytes: u64) -> Result<()> {
        self.n_held += n_bytes;
        if self.n_held <= self.n_reserved {
            return Ok(());
        }
        let ahead = if self.n_held > STEP_BYTES {
            STEP_BYTES
        } else {
            0
        };
        self.reserve(self.n_held + ahead)
    }

    fn reserve(&mut self, n_bytes: u64) -> Result<()> {
        let n_reserved = self.n_reserved.max(n_bytes);
        self.memory
            .reserve(usize::try_from(n_reserved).unwrap_or(usize::MAX))?;
        self.n_reserved = n_reserved;
        Ok(())
    }

    /// How many rows may be described at most.
    fn most_described(&self) -> u64 {
        let model = &self.scorer.model;
        let room = self.max_bytes.saturating_sub(self.n_bytes) / min_row_bytes(model);
        // a quarter of all memory, if the answer may be as large
        let room = room.min(self.memory.limit() as u64 / 4 / detail_bytes(model));
        // the first one says how many bytes are needed, if it does not fit
        room.max(u64::from(self.lists.rows.is_empty()))
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
            n_missing_features: Some(self.n_missing_features()),
            missing_features: missing
                .map(|(name, _)| name.clone())
                .take(MAX_NAMES)
                .collect(),
            unknown_features: self.unknown_features.iter().cloned().collect(),
        }
    }
}

impl Sink for Answer {
    fn check_room(&mut self, n_rows: u64, id_bytes: u64) -> Result<()> {
        let detail = *self.detail.get_or_insert(match n_rows {
            1 => Detail::Full,
            _ => Detail::Score,
        });
        if detail == Detail::Full && self.rows != ListedRows::None && !self.truncated {
            // the rows that are described before they are listed
            let n_described = self.most_described().min(n_rows - self.n_rows);
            let n_bytes = n_described * detail_bytes(&self.scorer.model);
            return self.reserve(self.n_held + n_bytes);
        }
        if (self.rows, detail) != (ListedRows::All, Detail::Score) {
            return Ok(());
        }
        // each id takes at most three more bytes
        let ids = if id_bytes > 0 {
            id_bytes + 3 * n_rows
        } else {
            0
        };
        let n_bytes = n_rows
            .saturating_mul(PACKED_BYTES)
            .saturating_add(FRAME_BYTES + ids);
        if n_bytes <= self.max_bytes {
            let of_ids = (id_bytes > 0).then_some(0);
            return self.reserve(n_rows * packed_bytes(false, of_ids) + 2 * id_bytes);
        }
        Err(Error::new(
            reason::ANSWER_TOO_LARGE,
            format!(
                "the scores of {n_rows} rows make an answer of up to {n_bytes} bytes, and answer.max_bytes is {}; raise it, along with \
                 the limit of the client, ask for ANSWER_ROWS_ANOMALIES or ANSWER_ROWS_NONE, or score a dataset of the rows with \
                 PredictDataset, which answers page by page",
                self.max_bytes
            ),
        )
        .at("answer.max_bytes"))
    }

    fn describe(&self) -> Describe {
        let most = usize::try_from(self.most_described()).unwrap_or(usize::MAX);
        match self.rows {
            _ if !self.is_full() || self.truncated => Describe::Nothing,
            ListedRows::None => Describe::Nothing,
            ListedRows::All => Describe::Rows(most),
            ListedRows::Anomalies => Describe::Anomalies(most),
        }
    }

    fn add(&mut self, mut scored: Scored, ids: Option<Vec<String>>) -> Result<()> {
        let n_rows = scored.scores.len() as u64;
        let anomalies = scored.is_anomaly.iter().filter(|&&is_anomaly| is_anomaly);
        self.n_anomalies += anomalies.count() as u64;
        self.gaps.merge(&scored.gaps);
        for name in std::mem::take(&mut scored.unknown_features) {
            if self.unknown_features.len() < MAX_NAMES {
                self.unknown_features.insert(name);
            }
        }
        if self.truncated || self.rows == ListedRows::None {
            // after a cut nothing more is listed, so that there are no holes
        } else if self.is_full() {
            self.list_objects(&scored.scores, &scored.is_anomaly, scored.details, ids)?;
        } else {
            self.list_packed(&scored.scores, &scored.is_anomaly, ids)?;
        }
        self.n_rows += n_rows;
        Ok(())
    }
}

impl From<Answer> for v1::Predictions {
    fn from(answer: Answer) -> Self {
        Self {
            summary: Some(answer.summary()),
            truncated: Some(answer.truncated),
            ..answer.lists
        }
    }
}

fn described(row: v1::RowPrediction, detail: RowDetail, model: &Model) -> v1::RowPrediction {
    let names = model.features().schema.features();
    let missing = detail.missing_features.iter();
    let has_figures = detail.z_scores.is_some() || detail.gaussian.is_some();
    let gaussian = detail.gaussian;
    let figures = v1::DetectorFigures {
        z_scores: detail.z_scores.unwrap_or_default(),
        mahalanobis: gaussian.map(|gaussian| gaussian.mahalanobis),
        log_density: gaussian.map(|gaussian| gaussian.log_density),
        density: gaussian.map(|gaussian| gaussian.density),
        normalized_density: gaussian.map(|gaussian| gaussian.normalized_density),
    };
    v1::RowPrediction {
        n_missing_features: Some(detail.n_missing_features as u64),
        missing_features: missing.map(|&feature| names[feature].clone()).collect(),
        figures: has_figures.then_some(figures),
        ..row
    }
}
