//! Scoring the rows of a table with a model, in chunks that run in parallel and stop when their context does.

use std::borrow::Cow;

use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

use super::model::{Model, RowDetail};
use crate::context::{Context, Step};
use crate::detector::FittedDetector;
use crate::error::Result;
use crate::features::{Builder, Engineering, Features, Gaps, Purpose, UnknownFeature};
use crate::table::Table;

/// How many rows are described between two checks of the context.
const DETAIL_ROWS: usize = 1024;

/// The most columns of a row, and features of its model, that may take little time to score.
const BRIEF_COLUMNS: usize = 64;

/// The most values of a few rows that take little time to score.
const SMALL_CELLS: usize = 1 << 17;

/// The fewest rows that a detector has in a chunk, which takes milliseconds, if one of them takes microseconds.
const BRIEF_CHUNK: usize = 1024;

/// The rows of a table that get details besides their scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Describe {
    /// No rows.
    Nothing,
    /// The first rows, up to this many.
    Rows(usize),
    /// The first anomalies, up to this many.
    Anomalies(usize),
}

/// The scores of a table.
#[derive(Debug, Clone)]
pub struct Scored {
    /// The score of each row. Higher is more anomalous.
    pub scores: Vec<f64>,
    /// Whether each row is an anomaly.
    pub is_anomaly: Vec<bool>,
    /// The missing and infinite values, with the features in the order shown.
    pub gaps: Gaps,
    /// The columns that the model does not know.
    pub unknown_features: Vec<String>,
    /// Statistics of each of these columns, if the policy is adaptive; otherwise empty.
    pub unknown_statistics: Vec<UnknownFeature>,
    /// The details of the rows that were to be described, in their order.
    pub details: Vec<RowDetail>,
}

impl Model {
    /// A builder of engineered features that continues from the model's history; `None` if the model engineers no features.
    pub fn history(&self) -> Option<Builder> {
        self.features.engineering.as_ref().map(Engineering::builder)
    }

    /// Whether scoring a table takes so little that it may be done on a thread that others wait for: one short row, for a detector
    /// whose chunks have many rows.
    pub fn is_brief(&self, table: &Table) -> bool {
        let detector = self.detector.as_detector();
        table.n_rows() == 1
            && table.n_columns().max(detector.n_features()) <= BRIEF_COLUMNS
            && self.features.engineering.is_none()
            && detector.chunk_rows() >= BRIEF_CHUNK
    }

    /// Whether scoring a table takes at most some milliseconds: one row, or no more than the detector scores at a time and not
    /// very wide.
    pub fn is_small(&self, table: &Table) -> bool {
        let detector = self.detector.as_detector();
        let n_columns = table.n_columns().max(detector.n_features());
        match table.n_rows() {
            1 => true,
            n_rows => {
                n_rows <= detector.chunk_rows() && n_rows.saturating_mul(n_columns) <= SMALL_CELLS
            }
        }
    }

    /// About how many bytes of memory scoring a table takes besides it: the scores and verdicts, a matrix of its columns unless it
    /// is one, and the engineered features, which are copied twice.
    pub fn scoring_bytes(&self, table: &Table) -> usize {
        let raw = self.features.n_raw() * size_of::<f64>();
        let scored = size_of::<f64>() + size_of::<bool>();
        let matrix = if table.as_matrix().is_some() { 0 } else { raw };
        let engineered = self.features.engineering.as_ref().map_or(0, |_| 3 * raw);
        table.n_rows() * (scored + matrix + engineered)
    }

    /// Scores the rows of a table, whose columns are matched to the schema. A row's score depends on that row and, if features
    /// are engineered, on the earlier rows of its series in the table and in `history`, to which the rows of the table are
    /// added. Without one, the history is that of the model.
    ///
    /// # Errors
    /// Fails when the columns do not fit the schema, and with those of [`Context::check`].
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
            .align(Cow::Owned(table), self.features.matching(Purpose::Score))?;
        let gaps = Gaps::count(&aligned.features).shown(&self.features.schema);
        let rows = match &self.features.engineering {
            Some(engineering) => {
                let mut own;
                let history = match history {
                    Some(history) => history,
                    None => {
                        own = engineering.builder();
                        &mut own
                    }
                };
                engineering.extend(&aligned, history, context)?
            }
            None => std::mem::take(&mut aligned.features),
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
        for chunk in described.chunks(DETAIL_ROWS) {
            context.check()?;
            let rows = chunk.iter().map(|&row| rows.row(row));
            details.extend(rows.map(|row| self.detail(row, &places, &columns)));
        }
        Ok(Scored {
            is_anomaly,
            scores,
            gaps,
            unknown_features: aligned.unknown,
            unknown_statistics: aligned.unknown_statistics,
            details,
        })
    }

    /// Adds the rows of a table to `history` without scoring them. Only checks the columns if there is no history to add to.
    ///
    /// # Errors
    /// Those of [`score`](Self::score).
    pub fn remember(
        &self,
        table: Table,
        history: Option<&mut Builder>,
        context: &Context,
    ) -> Result<()> {
        let matching = self.features.matching(Purpose::Score);
        let aligned = self.features.schema.align(Cow::Owned(table), matching)?;
        match (&self.features.engineering, history) {
            (Some(engineering), Some(history)) => {
                engineering.extend(&aligned, history, context).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Scores rows of n_raw values in standard layout that are not imputed yet.
    pub(super) fn score_raw(
        &self,
        rows: ArrayView2<'_, f64>,
        context: &Context,
    ) -> Result<Vec<f64>> {
        let uncounted = Step::default();
        score_rows(&self.features, &self.detector, rows, &uncounted, context)
    }
}

/// Scores rows of n_raw values in standard layout that are not imputed yet, in chunks on rayon's current pool. They advance the
/// step.
pub(super) fn score_rows(
    features: &Features,
    detector: &FittedDetector,
    rows: ArrayView2<'_, f64>,
    step: &Step,
    context: &Context,
) -> Result<Vec<f64>> {
    let detector = detector.as_detector();
    let mut scores = vec![0.0; rows.nrows()];
    let chunk_rows = detector.even_chunk_rows(rows.nrows());
    let score_chunk = |(chunk, scores): (ArrayView2<'_, f64>, &mut [f64])| -> Result<()> {
        context.check()?;
        detector.score_chunk(features.transform(chunk).view(), scores);
        step.advance(chunk.nrows());
        Ok(())
    };
    if rows.nrows() <= chunk_rows {
        score_chunk((rows, &mut scores))?;
    } else {
        rows.axis_chunks_iter(Axis(0), chunk_rows)
            .into_par_iter()
            .zip(scores.par_chunks_mut(chunk_rows))
            // a thread that finishes early takes over single chunks instead of half of those left
            .with_max_len(1)
            .try_for_each(score_chunk)?;
    }
    Ok(scores)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detector::{DetectorParams, IsolationForestParams, KnnParams};
    use crate::features::{EngineeringParams, EngineeringSpec, Roles};
    use crate::pipeline::TrainingSpec;
    use crate::table::Column;

    fn table(n_rows: usize, n_columns: usize) -> Table {
        let column = |j: usize| (0..n_rows).map(|i| ((i * 7 + j) % 11) as f64).collect();
        let names = (0..n_columns).map(|j| format!("x{j}")).collect();
        let columns = (0..n_columns).map(|j| Column::Numbers(column(j))).collect();
        Table::from_columns(Some(names), columns).expect("a table")
    }

    fn spec(detector: DetectorParams) -> TrainingSpec {
        TrainingSpec {
            detector,
            ..TrainingSpec::default()
        }
    }

    fn fit(spec: &TrainingSpec, n_columns: usize) -> Model {
        let fitted = spec.fit(Some(table(100, n_columns)), &Context::new());
        fitted.expect("fits").model
    }

    #[test]
    fn a_row_is_small_and_so_are_as_many_as_the_detector_scores_at_a_time() {
        let forest = spec(DetectorParams::IsolationForest(Default::default()));
        let model = fit(&forest, 3);
        let chunk = model.detector.as_detector().chunk_rows();
        assert!(model.is_small(&table(1, 3)));
        assert!(model.is_small(&table(1, SMALL_CELLS + 1)));
        assert!(model.is_small(&table(chunk, 3)));
        assert!(!model.is_small(&table(chunk + 1, 3)));
        assert!(!model.is_small(&table(2, SMALL_CELLS)));

        let slow = fit(&spec(DetectorParams::Knn(KnnParams::default())), 3);
        assert!(!slow.is_small(&table(chunk, 3)));
    }

    #[test]
    fn only_one_short_row_of_a_quick_model_is_brief() {
        let forest = spec(DetectorParams::IsolationForest(Default::default()));
        let model = fit(&forest, 3);
        assert!(model.is_brief(&table(1, 3)));
        assert!(!model.is_brief(&table(2, 3)));
        assert!(!model.is_brief(&table(1, 100)));
        assert!(!fit(&forest, 100).is_brief(&table(1, 100)));

        let slow = [
            DetectorParams::Knn(KnnParams::default()),
            DetectorParams::IsolationForest(
                IsolationForestParams::default().with_n_estimators(2000),
            ),
        ];
        for detector in slow {
            assert!(!fit(&spec(detector), 3).is_brief(&table(1, 3)));
        }
        let engineered = TrainingSpec {
            engineering: Some(EngineeringSpec {
                params: EngineeringParams::default(),
                columns: Vec::new(),
            }),
            roles: Roles {
                target: Some("x0".to_owned()),
                ..Roles::default()
            },
            ..forest
        };
        assert!(!fit(&engineered, 3).is_brief(&table(1, 3)));
    }
}
