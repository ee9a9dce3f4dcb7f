//! Reads every file that the databases name, and compares it with what they say of it.

use std::sync::atomic::{AtomicBool, Ordering};

use super::blob_folder::{self, BlobFolder};
use super::layout::Layout;
use super::log_head::{Head, Segment};
use super::log_segment::{self, SegmentReader};
use super::losses::{Losses, Part};
use super::references::References;
use super::strayed::Strayed;
use super::{LogName, StoreError, token_key};
use crate::error::chain;

/// Fails once the work was cancelled.
pub(super) fn go_on(cancelled: &AtomicBool) -> Result<(), StoreError> {
    match cancelled.load(Ordering::Relaxed) {
        true => Err(StoreError::Refused("it was broken off".to_owned())),
        false => Ok(()),
    }
}

/// What was read.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Verified {
    pub(super) n_blobs: u64,
    pub(super) blob_bytes: u64,
    pub(super) n_entries: u64,
}

/// Reads all blobs and segments; what is missing or damaged is added to the losses.
pub(super) fn verify(
    layout: &Layout,
    references: &References,
    strayed: &Strayed,
    logs: &[(LogName, Head)],
    losses: &mut Losses,
    cancelled: &AtomicBool,
) -> Result<Verified, StoreError> {
    let mut verified = Verified::default();
    let blobs = BlobFolder::new(layout.blobs());
    for (blob, record) in references.blobs() {
        match blob_folder::check(&strayed.path(&blobs, blob.name), &blob, cancelled) {
            Ok(size) => {
                verified.n_blobs += 1;
                verified.blob_bytes += size;
            }
            Err(error) => {
                let how = how(error)?;
                losses.add(
                    Part::Blob(blob.name),
                    format!("{how}; {} refers to it", record()),
                );
            }
        }
    }
    for (log, head) in logs {
        for segment in head.segments() {
            go_on(cancelled)?;
            match check_segment(layout, *log, head, segment) {
                Ok(n_entries) => verified.n_entries += n_entries,
                Err(error) => losses.add(Part::Segment(*log, segment.first), how(error)?),
            }
        }
    }
    Ok(verified)
}

/// Checks the file of the token key, if there is one, against the fingerprint that the store was made with.
pub(super) fn verify_token_key(
    layout: &Layout,
    fingerprint: Option<[u8; 16]>,
    losses: &mut Losses,
) -> Result<(), StoreError> {
    match token_key::check(layout.root(), fingerprint) {
        Err(StoreError::Refused(how)) => losses.add(Part::TokenKey, how),
        checked => checked?,
    }
    Ok(())
}

/// Reads a segment. Returns how many entries it has.
pub(super) fn check_segment(
    layout: &Layout,
    log: LogName,
    head: &Head,
    segment: Segment,
) -> Result<u64, StoreError> {
    let first = segment.first;
    let end = head.segment_of(first).map_or(first, |(_, end)| end);
    let reader = SegmentReader::open(&layout.logs(), log, segment, first, 0)?;
    let mut reader = reader.ok_or_else(|| log_segment::missing(log, segment))?;
    for _ in first..end {
        reader.next()?;
    }
    reader.check_end()?;
    Ok(end - first)
}

/// What is wrong with a file, if that is what the error says.
fn how(error: StoreError) -> Result<String, StoreError> {
    match error {
        StoreError::Damaged { .. } | StoreError::BlobNotFound { .. } => Ok(chain(&error)),
        error => Err(error),
    }
}
