//! PredictDataset: scores the rows of a dataset, page by page.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tracing::Instrument as _;

use super::convert::answer_options::{AnswerOptions, Detail, ListedRows};
use super::convert::prediction::{Answer, page_rows};
use super::convert::{records, version};
use super::status;
use crate::datasets::DatasetId;
use crate::error::Result;
use crate::proto::v1::{PredictDatasetRequest, PredictDatasetResponse};
use crate::runs::{Caller, DatasetSource, RowIds, RunId, Runs, Scan, Scorer, Sink as _};
use crate::store::Store;
use crate::telemetry::{Metrics, Predicted};

/// The stream of pages. Scoring waits for a client that does not read them.
pub(super) type Pages = ReceiverStream<Result<PredictDatasetResponse, Status>>;

/// How many finished pages may wait for the client.
const WAITING_PAGES: usize = 1;

/// Begins to answer a request. Errors that can be found before a row is scored are returned here.
pub(super) async fn pages<S: Store>(
    runs: &Runs<S>,
    caller: Caller,
    request: PredictDatasetRequest,
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
    let max_rows = page_rows(&scorer.model, options, ids != RowIds::None);
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
    let mut scan = scan.await?;
    let (sender, receiver) = mpsc::channel(WAITING_PAGES);
    let work = async move {
        let mut is_first = true;
        loop {
            let page = tokio::select! {
                page = page(&mut scan, &scorer, options, is_first, &metrics) => page,
                // the client has left
                () = sender.closed() => return,
            };
            is_first = false;
            let is_last = !matches!(page, Ok(Some(_)));
            let sent = match page.transpose() {
                Some(page) => sender.send(page.map_err(status::of)).await.is_ok(),
                None => false,
            };
            if is_last || !sent {
                return;
            }
        }
    };
    tokio::spawn(work.in_current_span());
    Ok(ReceiverStream::new(receiver))
}

/// The next page; `None` after the last one. A request that begins after the last row gets one page without rows.
async fn page(
    scan: &mut Scan,
    scorer: &Scorer,
    options: AnswerOptions,
    is_first: bool,
    metrics: &Metrics,
) -> Result<Option<PredictDatasetResponse>> {
    let answer = Answer::new(scorer.clone(), options, ListedRows::All);
    let (first_row, answer) = match scan.next(answer.describe()).await? {
        Some(chunk) => {
            let mut answer = answer.at_row(chunk.first_row);
            answer.add(chunk.scored, chunk.ids)?;
            (chunk.first_row, answer)
        }
        None if is_first => (scan.n_rows(), answer),
        None => return Ok(None),
    };
    metrics.count(Predicted {
        // all pages count as one prediction
        n_predictions: u64::from(is_first),
        ..answer.counts()
    });
    Ok(Some(PredictDatasetResponse {
        first_row: Some(first_row),
        next_row: Some(first_row + answer.n_rows()),
        n_rows: Some(scan.n_rows()),
        predictions: Some(answer.into()),
    }))
}
