//! Train: a new version of a run from rows.

use std::sync::Arc;

use super::commit::{Base, Outcome, Prepared, Write};
use super::dataset_tables::DatasetTables;
use super::get::VersionSelector;
use super::{Caller, DatasetSource, Described, ReadRows, RequestId, RowSource, Rows, RunId, Runs};
use crate::compute::{Admission, Class};
use crate::error::{Error, Kind, Result, reason};
use crate::memory::Share;
use crate::operations::{Operation, stage};
use crate::store::{Store, key};
use anomaly_detection::context::{Context, Progress};
use anomaly_detection::pipeline::{TableSource, TrainingSpec};
use anomaly_detection::table::{MAX_CELLS, Table};

/// The most values of a dataset that training holds in memory, 16 MiB of doubles. Detectors that can stream learn from larger
/// ones in passes, which gives the same model.
const MAX_HELD_CELLS: u64 = 1 << 21;

/// The rows to learn from, with their share of memory, held until the training is done.
enum LearningRows {
    /// None: the request gives baselines.
    None,
    /// All in memory.
    Table(Table, Share),
    /// Too many to hold: read in passes.
    Tables(Box<dyn TableSource + Send>, Share),
}

impl<S: Store> Runs<S> {
    /// Trains a model and stores it as the next version of the run, which is created if it does not exist.
    ///
    /// A large dataset is read in passes if the detector can stream. It is held in memory otherwise, or if the passes find that
    /// it must be sorted. A retry stores nothing, but is found out only after the fit: ask [`Self::made_before`] first.
    pub async fn train(
        self: &Arc<Self>,
        caller: Caller,
        run_id: RunId,
        request_id: Option<RequestId>,
        mut spec: TrainingSpec,
        rows: Option<Rows>,
        operation: &Operation,
    ) -> Result<Described> {
        let progress = operation.progress();
        spec.reservoir_size = self.reservoir_size;
        // before a dataset is read in vain
        spec.check_request(rows.is_some())?;
        let key = key::run_key(caller.owner, run_id.as_str());
        let generation = self.generation(&key).await?;
        let write = Arc::new(Write {
            key,
            generation,
            run_id,
            request_id,
        });
        let dataset = match &rows {
            Some(Rows {
                source: RowSource::Dataset(dataset),
                ids,
                ..
            }) => Some(Rows {
                source: RowSource::Dataset(dataset.clone()),
                ids: ids.clone(),
                share: Share::uncounted(),
            }),
            _ => None,
        };
        let rows = self.rows_to_learn(caller, &spec, rows, progress).await?;
        let prepared = match (self.fit(caller, &spec, rows, progress).await, dataset) {
            (Err(unsorted), Some(dataset)) if unsorted.reason() == reason::UNSORTED_ROWS => {
                let rows = self.held_rows(caller, dataset, unsorted, progress).await?;
                self.fit(caller, &spec, rows, progress).await?
            }
            (outcome, _) => outcome?,
        };
        operation.commit()?;
        match self.commit(&write, prepared, Base::Any).await? {
            Outcome::Stored(described) => Ok(*described),
            Outcome::MadeBefore | Outcome::Overtaken => self
                .made_before(&caller, &write.run_id, write.request_id.as_ref())
                .await?
                .ok_or_else(conflict),
        }
    }

    async fn fit(
        &self,
        caller: Caller,
        spec: &TrainingSpec,
        rows: LearningRows,
        progress: &Progress,
    ) -> Result<Prepared> {
        progress.enter(stage::WAITING);
        let spec = spec.clone();
        let progress = progress.clone();
        let fit = move |context: &Context| {
            let context = &context.reporting(Some(&progress));
            let fitted = match rows {
                LearningRows::None => spec.fit(None, context),
                LearningRows::Table(table, _share) => spec.fit(Some(table), context),
                LearningRows::Tables(tables, _share) => spec.fit_in_passes(&*tables, context),
            };
            Prepared::encode(fitted?)
        };
        self.compute
            .run(caller, Class::Large, Admission::Refuse, fit)
            .await
    }

    async fn rows_to_learn(
        &self,
        caller: Caller,
        spec: &TrainingSpec,
        rows: Option<Rows>,
        progress: &Progress,
    ) -> Result<LearningRows> {
        let Some(rows) = rows else {
            return Ok(LearningRows::None);
        };
        let mut draw = spec.draw();
        if let RowSource::Dataset(DatasetSource { id, known_texts }) = &rows.source {
            let at_id = |error: Error| error.at("records.dataset_id");
            let open = self.datasets.open(&caller, id).await.map_err(at_id)?;
            let tables = DatasetTables::new(open, known_texts, rows.ids.clone());
            let n_rows = tables.n_rows();
            draw = draw.filter(|draw| draw.n < n_rows);
            let n_cells = tables.n_cells(draw.map_or(n_rows, |draw| draw.n));
            if draw.is_none() && n_cells > MAX_HELD_CELLS && spec.detector.can_stream() {
                let share = self
                    .datasets
                    .reader_share(tables.page_bytes(), Admission::Refuse)
                    .await?;
                return Ok(LearningRows::Tables(Box::new(tables), share));
            }
            if n_cells > MAX_CELLS as u64 {
                return Err(match draw {
                    Some(draw) => Error::field(
                        "sample_rows",
                        format!(
                            "{} rows of the dataset {:?} are {n_cells} values, more than the {MAX_CELLS} that can be held; give \
                             fewer sample_rows",
                            draw.n,
                            id.as_str()
                        ),
                    ),
                    None => {
                        let dataset = format!("the dataset {:?}", id.as_str());
                        at_id(spec.detector.cannot_stream().during(&dataset))
                    }
                });
            }
        }
        let progress = Some(progress);
        let read = rows.read(&self.datasets, caller, draw, Admission::Refuse, progress);
        let ReadRows { table, share, .. } = read.await.map_err(|error| error.within("records"))?;
        Ok(LearningRows::Table(table, share))
    }

    /// Reads all rows of a dataset, so that training can sort them. Fails with `unsorted` if they are too many to hold.
    async fn held_rows(
        &self,
        caller: Caller,
        dataset: Rows,
        unsorted: Error,
        progress: &Progress,
    ) -> Result<LearningRows> {
        progress.enter(stage::WAITING);
        let progress = Some(progress);
        let read = dataset.read(&self.datasets, caller, None, Admission::Refuse, progress);
        match read.await {
            Ok(ReadRows { table, share, .. }) => Ok(LearningRows::Table(table, share)),
            Err(too_large) if too_large.kind() == Kind::InvalidArgument => Err(unsorted),
            Err(error) => Err(error.within("records")),
        }
    }

    /// The version that an earlier request with the same id made, if it is still kept.
    pub async fn made_before(
        &self,
        caller: &Caller,
        run_id: &RunId,
        request_id: Option<&RequestId>,
    ) -> Result<Option<Described>> {
        if request_id.is_none() {
            return Ok(None);
        }
        let made = match self.record(caller, run_id).await {
            Ok(record) => record.made_by(request_id)?.map(|version| version.version),
            Err(error) if error.reason() == reason::RUN_NOT_FOUND => None,
            Err(error) => return Err(error),
        };
        let Some(version) = made else {
            return Ok(None);
        };
        let selector = VersionSelector::Number(version);
        match self.describe(*caller, run_id.clone(), selector).await {
            // the run may have been deleted and trained again since the record was read
            Ok(described) => {
                let made_it = described.version.request_id.as_ref() == request_id;
                Ok(made_it.then_some(described))
            }
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The error of a write that other writes kept overtaking.
pub(super) fn conflict() -> Error {
    Error::new(
        reason::WRITE_CONFLICT,
        "other writes to the run kept coming first; nothing was stored, try again",
    )
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::Poll;

    use super::*;
    use crate::store::{MemoryStore, TokenKey};

    #[tokio::test]
    async fn a_training_that_has_its_rows_and_waits_for_a_thread_is_shown_as_waiting() {
        let store = MemoryStore::new(&TokenKey::from_bytes([1; 32]));
        let caller = Caller {
            owner: store.token_hasher().anonymous(),
            deadline: None,
        };
        let runs = Runs::in_store(store);
        // as many works as one owner can have under way
        let (mut works, mut ends) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let (end, ended) = mpsc::channel::<()>();
            let work = move |_: &Context| {
                let _ = ended.recv();
                Ok(())
            };
            let running = runs
                .compute
                .submit(caller, Class::Large, Admission::Refuse, work);
            works.push(running.await.expect("there is a permit"));
            ends.push(end);
        }

        let progress = Progress::new(stage::READING);
        let table = Table::from_row_major(None, 1, vec![1.0, 2.0, 4.0]).expect("valid");
        let rows = LearningRows::Table(table, Share::uncounted());
        let spec = TrainingSpec::default();
        let mut fit = pin!(runs.fit(caller, &spec, rows, &progress));
        let is_pending = poll_fn(|cx| Poll::Ready(fit.as_mut().poll(cx).is_pending()));
        assert!(is_pending.await);
        assert_eq!(progress.reached().stage, stage::WAITING);

        drop(ends);
        for running in works {
            running.await.expect("it ends");
        }
        fit.await.expect("it is its turn");
        assert_ne!(progress.reached().stage, stage::WAITING);
    }
}
