//! Scoring: a table through the model, in blocks of rows that run in parallel and stop when no one waits any more.

use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

use super::model::{Model, RowDetail};
use crate::context::Context;
use crate::detector::FittedDetector;
use crate::error::Result;
use crate::features::{Builder, Engineering, Features, Gaps, Purpose, UnknownFeature};
use crate::table::Table;

/// How many rows are described between two looks at the context.
const DETAIL_ROWS: usize = 1024;

/// The rows of a table that are described beside their scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Describe {
    /// None of them.
    Nothing,
    /// The first so many.
    Rows(usize),
    /// The first so many that are anomalies.
    Anomalies(usize),
}

/// The scores of a table.
#[derive(Debug, Clone)]
pub struct Scored {
    /// The score of each row. Higher is more anomalous.
    pub scores: Vec<f64>,
    /// Whether each row is an anomaly.
    pub is_anomaly: Vec<bool>,
    /// What was missing, with the features in the order in which they are shown.
    pub gaps: Gaps,
    /// The columns that the model does not know.
    pub unknown_features: Vec<String>,
    /// What is known of each of them, where the model is to remember that; else empty.
    pub known_of_unknown: Vec<UnknownFeature>,
    /// What else can be said of the rows that were to be described, in their order.
    pub details: Vec<RowDetail>,
}

impl Model {
    /// What engineers the features of rows to score, from the history that the model has; `None` where it engineers none.
    pub fn history(&self) -> Option<Builder> {
        self.features.engineering.as_ref().map(Engineering::builder)
    }

    /// Scores the rows of a table whose columns are matched to the schema. A row's score depends on that row and, where
    /// features are engineered, on the rows of its series that `history` has seen, which then has seen these.
    ///
    /// Fails when the columns do not fit the schema, or when `context` ends.
    pub fn score(
        &self,
        table: Table,
        history: Option<&mut Builder>,
        describe: Describe,
        context: &Context,
    ) -> Result<Scored> {
        let mut aligned = self
            .features
            .schema
            .align(table, self.features.matching(Purpose::Score))?;
        let gaps = Gaps::count(&aligned.features).shown(&self.features.schema);
        let rows = match (&self.features.engineering, history) {
            (Some(engineering), Some(history)) => engineering.extend(&aligned, history, context)?,
            _ => std::mem::take(&mut aligned.features),
        };
        let scores = self.score_raw(rows.view(), context)?;
        let is_anomaly = self.threshold.verdicts(&scores);
        let described: Vec<usize> = match describe {
            Describe::Nothing => Vec::new(),
            Describe::Rows(most) => (0..scores.len().min(most)).collect(),
            Describe::Anomalies(most) => {
                let flagged = (0..scores.len()).filter(|&row| is_anomaly[row]);
                flagged.take(most).collect()
            }
        };
        let mut details = Vec::with_capacity(described.len());
        let places = self.features.schema.places();
        let columns = self.features.shown_columns();
        for block in described.chunks(DETAIL_ROWS) {
            context.check()?;
            let rows = block.iter().map(|&row| rows.row(row));
            details.extend(rows.map(|row| self.detail(row, &places, &columns)));
        }
        Ok(Scored {
            is_anomaly,
            scores,
            gaps,
            unknown_features: aligned.unknown,
            known_of_unknown: aligned.known_of_unknown,
            details,
        })
    }

    /// Lets the rows of a table be the past of those that are scored with the same `history` after them.
    ///
    /// Fails as [`score`](Self::score), also where there is nothing to remember.
    pub fn remember(
        &self,
        table: Table,
        history: Option<&mut Builder>,
        context: &Context,
    ) -> Result<()> {
        let matching = self.features.matching(Purpose::Score);
        let aligned = self.features.schema.align(table, matching)?;
        match (&self.features.engineering, history) {
            (Some(engineering), Some(history)) => {
                engineering.extend(&aligned, history, context).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Scores rows of n_raw values that are not imputed yet, in standard layout.
    pub(super) fn score_raw(
        &self,
        rows: ArrayView2<'_, f64>,
        context: &Context,
    ) -> Result<Vec<f64>> {
        score_rows(&self.features, &self.detector, rows, context)
    }
}

/// Scores rows of n_raw values that are not imputed yet, in standard layout: in blocks, on rayon's current pool.
pub(super) fn score_rows(
    features: &Features,
    detector: &FittedDetector,
    rows: ArrayView2<'_, f64>,
    context: &Context,
) -> Result<Vec<f64>> {
    let detector = detector.as_detector();
    let mut scores = vec![0.0; rows.nrows()];
    let block_rows = detector.even_block_rows(rows.nrows());
    let score_block = |(block, scores): (ArrayView2<'_, f64>, &mut [f64])| -> Result<()> {
        context.check()?;
        detector.score_block(features.transform(block).view(), scores);
        Ok(())
    };
    if rows.nrows() <= block_rows {
        score_block((rows, &mut scores))?;
    } else {
        rows.axis_chunks_iter(Axis(0), block_rows)
            .into_par_iter()
            .zip(scores.par_chunks_mut(block_rows))
            // a thread that is done early takes over single blocks, not halves of what is left
            .with_max_len(1)
            .try_for_each(score_block)?;
    }
    Ok(scores)
}
