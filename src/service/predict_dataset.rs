//! PredictDataset: scores the rows of a dataset, page by page.

use std::sync::Arc;

use futures_util::stream::{BoxStream, try_unfold};
use futures_util::{StreamExt as _, TryStreamExt as _};
use tonic::Status;

use super::convert::answer_options::{AnswerOptions, Detail, ListedRows};
use super::convert::answer_size::{page_memory, page_rows};
use super::convert::prediction::Answer;
use super::convert::{records, version};
use super::status;
use crate::datasets::DatasetId;
use crate::error::{Error, Result};
use crate::memory::AnswerMemory;
use crate::proto::v1::{PredictDatasetRequest, PredictDatasetResponse};
use crate::runs::{Caller, DatasetSource, RowIds, RunId, Runs, Scan, Scorer, Sink as _};
use crate::store::Store;
use crate::telemetry::{Metrics, Predicted};

/// The stream of pages. A page is made when it is asked for: when the one before it is encoded, and sent unless it is short.
pub(super) type Pages = BoxStream<'static, Result<PredictDatasetResponse, Status>>;

/// What the pages are made of.
struct Source {
    scan: Scan,
    scorer: Scorer,
    options: AnswerOptions,
    is_first: bool,
    /// The memory of the answer, and how much of it a page takes at most.
    memory: AnswerMemory,
    page_bytes: usize,
    metrics: Arc<Metrics>,
}

/// Begins to answer a request. Errors that can be found before a row is scored are returned here.
pub(super) async fn pages<S: Store>(
    runs: &Runs<S>,
    caller: Caller,
    request: PredictDatasetRequest,
    memory: AnswerMemory,
    metrics: Arc<Metrics>,
) -> Result<Pages> {
    let run_id = RunId::parse(request.run_id)?;
    let version = version::receive(request.version, "version")?;
    let id = DatasetId::parse("dataset_id", request.dataset_id)?;
    let ids = RowIds::given(Vec::new(), request.row_id_column)?;
    let options = AnswerOptions::try_from(request.answer);
    let options = options.map_err(|error| error.within("answer"))?;
    let options = AnswerOptions {
        rows: options.rows.or(Some(ListedRows::All)),
        detail: options.detail.or(Some(Detail::Score)),
        ..options
    };
    let scorer = runs.scorer(caller, run_id, version).await?;
    let has_ids = ids != RowIds::None;
    let max_rows = page_rows(&scorer.model, options, has_ids, memory.limit());
    let page_bytes = page_memory(&scorer.model, options, has_ids, max_rows);
    let source = DatasetSource {
        id,
        known_texts: records::texts(&scorer.model.text_columns(), &ids),
    };
    let scan = runs.scan(
        &caller,
        scorer.clone(),
        source,
        ids,
        request.first_row,
        max_rows,
    );
    let source = Source {
        scan: scan.await?,
        scorer,
        options,
        is_first: true,
        memory,
        page_bytes,
        metrics,
    };
    let pages = try_unfold(source, |mut source| async move {
        let page = source.next().await?;
        Ok::<_, Error>(page.map(|page| (page, source)))
    });
    Ok(pages.map_err(status::of).boxed())
}

impl Source {
    /// The next page; `None` after the last one. A request that begins after the last row gets one page without rows.
    async fn next(&mut self) -> Result<Option<PredictDatasetResponse>> {
        self.memory.reserve_in_turn(self.page_bytes).await?;
        let memory = self.memory.clone();
        let answer = Answer::new(self.scorer.clone(), self.options, ListedRows::All, memory);
        let is_first = std::mem::take(&mut self.is_first);
        let (first_row, answer) = match self.scan.next(answer.describe()).await? {
            Some(chunk) => {
                let mut answer = answer.at_row(chunk.first_row);
                answer.add(chunk.scored, chunk.ids)?;
                (chunk.first_row, answer)
            }
            None if is_first => (self.scan.n_rows(), answer),
            None => return Ok(None),
        };
        self.metrics.count(Predicted {
            // all pages count as one prediction
            n_predictions: u64::from(is_first),
            ..answer.counts()
        });
        Ok(Some(PredictDatasetResponse {
            first_row: Some(first_row),
            next_row: Some(first_row + answer.n_rows()),
            n_rows: Some(self.scan.n_rows()),
            predictions: Some(answer.into()),
        }))
    }
}
