//! Inspects a file by reading it twice: once for its columns and types, once for their statistics.

use super::chunks::chunk_rows;
use super::description::Description;
use super::statistics::Gathering;
use crate::error::Result;
use crate::operations::stage;
use anomaly_detection::context::{Context, Unit};
use anomaly_detection::table::read::{self, FileOptions, FileSummary, Limits, Source};

/// Reads a file for its columns and types. To be called on the compute pool.
///
/// Fails, naming the place, when the file cannot be read as a table, and when the caller has left.
pub(super) fn scan(
    source: &Source,
    options: &FileOptions,
    limits: Limits,
    context: &Context,
) -> Result<FileSummary> {
    let summary = read::scan(source, options, limits, context)?;
    summary.check_names()?;
    Ok(summary)
}

/// Reads a file that was scanned, in chunks, for the statistics of its columns. To be called on the compute pool, with a share of
/// the memory for a reader in chunks.
///
/// Fails when the file cannot be read, and when the caller has left.
pub(super) fn describe(
    source: &Source,
    options: FileOptions,
    limits: Limits,
    summary: FileSummary,
    context: &Context,
) -> Result<Description> {
    context.enter(stage::SCANNING);
    let mut gathering = Gathering::new(&summary);
    let n_rows = usize::try_from(summary.n_rows()).unwrap_or(usize::MAX);
    let step = context.step(Unit::Rows, n_rows);
    for table in read::chunks(
        source,
        &options,
        limits,
        &summary,
        chunk_rows(summary.columns().len()),
    )? {
        context.check()?;
        let table = table?;
        gathering.add(&table)?;
        step.advance(table.n_rows());
    }
    Ok(Description {
        statistics: gathering.finish(),
        options,
        summary,
        decompressed_bytes: limits.decompressed_bytes,
    })
}

/// Both passes over a file, one after the other.
#[cfg(test)]
pub(super) fn inspect(
    source: &Source,
    options: FileOptions,
    limits: Limits,
    context: &Context,
) -> Result<Description> {
    let summary = scan(source, &options, limits, context)?;
    describe(source, options, limits, summary, context)
}
