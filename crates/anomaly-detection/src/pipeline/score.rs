//! Scoring: a table through the model, in blocks of rows that run in parallel and stop when no one waits any more.

use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

use super::model::{Model, RowDetail};
use crate::context::Context;
use crate::error::Result;
use crate::features::{Builder, Engineering, Gaps, Purpose, UnknownFeature};
use crate::table::Table;

/// How many rows are described between two looks at the context.
const DETAIL_ROWS: usize = 1024;

/// The scores of a table.
#[derive(Debug, Clone)]
pub struct Scored {
    /// The score of each row. Higher is more anomalous.
    pub scores: Vec<f64>,
    /// What was missing.
    pub gaps: Gaps,
    /// The columns that the model does not know.
    pub unknown_features: Vec<String>,
    /// What is known of each of them, where the model is to remember that; else empty.
    pub known_of_unknown: Vec<UnknownFeature>,
    /// What else can be said of each row; empty unless it was asked for.
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
        with_details: bool,
        context: &Context,
    ) -> Result<Scored> {
        let mut aligned = self
            .features
            .schema
            .align(table, self.features.matching(Purpose::Score))?;
        let gaps = Gaps::count(&aligned.features);
        let rows = match (&self.features.engineering, history) {
            (Some(engineering), Some(history)) => engineering.extend(&aligned, history, context)?,
            _ => std::mem::take(&mut aligned.features),
        };
        let scores = self.score_raw(rows.view(), context)?;
        let mut details = Vec::new();
        if with_details {
            for block in rows.axis_chunks_iter(Axis(0), DETAIL_ROWS) {
                context.check()?;
                details.extend(block.rows().into_iter().map(|row| self.detail(row)));
            }
        }
        Ok(Scored {
            scores,
            gaps,
            unknown_features: aligned.unknown,
            known_of_unknown: aligned.known_of_unknown,
            details,
        })
    }

    /// Scores rows of n_raw values that are not imputed yet, in standard layout.
    pub(super) fn score_raw(
        &self,
        rows: ArrayView2<'_, f64>,
        context: &Context,
    ) -> Result<Vec<f64>> {
        let mut scores = vec![0.0; rows.nrows()];
        let block_rows = self.detector.as_detector().even_block_rows(rows.nrows());
        let score_block = |(block, scores): (ArrayView2<'_, f64>, &mut [f64])| -> Result<()> {
            context.check()?;
            let prepared = self.features.transform(block);
            self.detector
                .as_detector()
                .score_block(prepared.view(), scores);
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
}
