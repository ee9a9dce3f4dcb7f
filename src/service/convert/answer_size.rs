//! How many bytes answers have on the wire and in memory.

use prost::length_delimiter_len;

use super::answer_options::{AnswerOptions, Detail, ListedRows};
use super::prediction::MAX_NAMES;
use crate::proto::v1;
use anomaly_detection::pipeline::{Model, RowDetail};

/// An upper bound of the bytes of an answer without its rows: two lists of names of 256 bytes each, and
/// numbers.
pub(super) const FRAME_BYTES: u64 = 64 << 10;

/// The bytes of a row in the packed arrays, if all rows are listed: its score and verdict.
pub(super) const PACKED_BYTES: u64 = 9;

/// An upper bound of the bytes of the index of a row in the packed arrays.
const INDEX_BYTES: u64 = 10;

/// An upper bound of the bytes of a row object without its id, names and z-scores.
const ROW_BYTES: u64 = 128;

/// The bytes of the longest row id: 128, and its tag and length.
const ID_BYTES: u64 = 131;

/// The least memory of a text: what points at it, and its block.
const TEXT_MEMORY: u64 = size_of::<String>() as u64 + 32;

/// How many rows are sure to fit on a page of a dataset, and to take no more than a quarter of all memory for answers.
pub(in crate::service) fn page_rows(
    model: &Model,
    options: AnswerOptions,
    has_ids: bool,
    memory_limit: usize,
) -> usize {
    let row = match (options.rows, options.detail) {
        (Some(ListedRows::None), _) => return usize::MAX,
        (_, Some(Detail::Full)) => max_row_bytes(model),
        (Some(ListedRows::Anomalies), _) => PACKED_BYTES + INDEX_BYTES,
        _ => PACKED_BYTES,
    };
    let ids = if has_ids { ID_BYTES } else { 0 };
    let rows = options.max_bytes.saturating_sub(FRAME_BYTES) / (row + ids);
    let rows = rows.min(memory_limit as u64 / 4 / page_row_memory(model, options, has_ids));
    usize::try_from(rows).unwrap_or(usize::MAX).max(1)
}

/// An upper bound of the memory of a page of so many rows, in bytes.
pub(in crate::service) fn page_memory(
    model: &Model,
    options: AnswerOptions,
    has_ids: bool,
    n_rows: usize,
) -> usize {
    let rows = match options.rows {
        Some(ListedRows::None) => 0,
        _ => (n_rows as u64).saturating_mul(page_row_memory(model, options, has_ids)),
    };
    usize::try_from(rows + 2 * FRAME_BYTES).unwrap_or(usize::MAX)
}

/// An upper bound of the memory of a row on a page.
fn page_row_memory(model: &Model, options: AnswerOptions, has_ids: bool) -> u64 {
    match options.detail {
        Some(Detail::Full) => {
            let object = size_of::<v1::RowPrediction>() as u64 + TEXT_MEMORY;
            let names = MAX_NAMES.min(model.features().schema.features().len()) as u64;
            let names = names * TEXT_MEMORY + max_row_bytes(model);
            detail_bytes(model) + object + names + max_row_bytes(model) + ID_BYTES
        }
        _ => {
            let id = has_ids.then_some(ID_BYTES);
            packed_bytes(options.rows == Some(ListedRows::Anomalies), id)
        }
    }
}

/// The bytes of an id on the wire.
pub(super) fn id_bytes(id: &str) -> u64 {
    match id.len() {
        0 => 0,
        length => (1 + length_delimiter_len(length) + length) as u64,
    }
}

/// An upper bound of the memory of a row in the packed arrays and in their encoding, in bytes, if its id has so many.
pub(super) fn packed_bytes(has_index: bool, id_bytes: Option<u64>) -> u64 {
    let index = if has_index { 8 + INDEX_BYTES } else { 0 };
    let id = id_bytes.map_or(0, |length| TEXT_MEMORY + 2 * length + 3);
    2 * PACKED_BYTES + index + id
}

/// The memory of a row object in bytes, without its encoding.
pub(super) fn object_bytes(row: &v1::RowPrediction) -> u64 {
    let names = row.missing_features.iter();
    let names: u64 = names.map(|name| TEXT_MEMORY + name.len() as u64).sum();
    let z_scores = row
        .figures
        .as_ref()
        .map_or(0, |figures| figures.z_scores.len());
    size_of::<v1::RowPrediction>() as u64 + row.row_id.len() as u64 + names + 8 * z_scores as u64
}

/// An upper bound of the memory of the details of a row in bytes, before it is listed.
pub(super) fn detail_bytes(model: &Model) -> u64 {
    let names = MAX_NAMES.min(model.features().schema.features().len());
    (size_of::<RowDetail>() + names * size_of::<usize>()) as u64 + z_score_bytes(model)
}

/// The bytes of a row's z-scores, if the detector has them.
fn z_score_bytes(model: &Model) -> u64 {
    8 * model.n_z_scores() as u64
}

/// A lower bound of the bytes of a row object.
pub(super) fn min_row_bytes(model: &Model) -> u64 {
    const MIN: u64 = 16;
    MIN + z_score_bytes(model)
}

/// An upper bound of the bytes of a row object without its id.
fn max_row_bytes(model: &Model) -> u64 {
    let names = model.features().schema.features();
    let mut lengths: Vec<usize> = names.iter().map(|name| name.len() + 3).collect();
    lengths.sort_unstable_by(|a, b| b.cmp(a));
    let of_names = lengths.into_iter().take(MAX_NAMES).sum::<usize>() as u64;
    ROW_BYTES + of_names + z_score_bytes(model)
}
