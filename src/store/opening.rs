//! Opens the databases of a store once they were compared with what was acknowledged.

use std::sync::Arc;

use super::blob_folder::BlobFolder;
use super::layout::Layout;
use super::log_head::Head;
use super::sled_heads::{CACHE_BYTES, SledHeads};
use super::sled_ledger::{self, Found, Ledger, Origin};
use super::state::StoreId;
use super::survey::Survey;
use super::{LogName, StoreError, TokenHasher, TokenKey, files, reserve, token_key};

/// The databases of a store, in use.
pub(super) struct Opened {
    pub(super) store: StoreId,
    pub(super) token_hasher: TokenHasher,
    pub(super) records: Arc<Ledger>,
    /// The heads of the logs, once there is a log, and which there are.
    pub(super) heads: Option<(SledHeads, Vec<(LogName, Head)>)>,
}

/// Opens the databases, or makes that of the records in a new store. Refuses if anything is lost. Brings back blobs from the
/// quarantine that records refer to again.
pub(super) fn open(
    layout: &Layout,
    cache_bytes: u64,
    configured_key: Option<TokenKey>,
) -> Result<Opened, StoreError> {
    refuse_untouched(layout, cache_bytes)?;
    let survey = Survey::look(layout, cache_bytes)?;
    survey.losses.refuse(layout.root())?;
    survey
        .strayed
        .bring_back(&BlobFolder::new(layout.blobs()))?;
    let Survey {
        records,
        heads,
        logs,
        ..
    } = survey;
    // a crash of the first start leaves a mark whose database says nothing yet, or is not there
    let known = records.found.as_ref().and_then(Found::origin);
    let store = known
        .map(|origin| origin.store)
        .or(records.mark.store())
        .unwrap_or_else(StoreId::random);
    let found = match records.found {
        Some(found) => found,
        None => create_records(layout, cache_bytes, store)?,
    };
    let recorded = known.and_then(|origin| origin.fingerprint);
    let key = token_key::find(layout.root(), configured_key, recorded)?;
    let token_hasher = TokenHasher::new(&key);
    let origin = Origin {
        store,
        fingerprint: Some(token_hasher.fingerprint()),
    };
    let records = Arc::new(found.begin(&layout.records().mark, origin, 0)?);
    let heads = match heads.found {
        Some(found) => Some((begin_heads(layout, found, store)?, logs)),
        None => None,
    };
    Ok(Opened {
        store,
        token_hasher,
        records,
        heads,
    })
}

/// Refuses a store that has lost anything while its databases are as they were found: sled overwrites what lies behind damage
/// when it opens one. So copies are opened first, unless the disk is too full for them.
fn refuse_untouched(layout: &Layout, cache_bytes: u64) -> Result<(), StoreError> {
    let copies = layout
        .copied_bytes()
        .and_then(|n_bytes| reserve::has_room(layout.root(), n_bytes))
        .and_then(|has_room| has_room.then(|| layout.with_copies()).transpose())
        .map_err(StoreError::io("copy the databases of the store"))?;
    let Some(copies) = copies else {
        tracing::warn!(
            "the disk is too full to look at copies of the databases first: if they are damaged, what lies behind the damage is lost"
        );
        return Ok(());
    };
    let looked =
        Survey::look(&copies, cache_bytes).and_then(|survey| survey.losses.refuse(layout.root()));
    if let Err(error) = layout.remove_copies() {
        tracing::warn!(%error, "copies of the databases are left behind; the next start removes them");
    }
    looked
}

fn create_records(layout: &Layout, cache_bytes: u64, store: StoreId) -> Result<Found, StoreError> {
    let place = layout.records();
    sled_ledger::create(&place, cache_bytes, store)?;
    Found::read(&place, cache_bytes, &mut |_, _| Ok(()))
}

/// Makes the database for the heads of the first log.
pub(super) fn create_heads(layout: &Layout, store: StoreId) -> Result<SledHeads, StoreError> {
    let place = layout.heads();
    files::create_folder(&place.folder).map_err(StoreError::io("make the folder of the logs"))?;
    sled_ledger::create(&place, CACHE_BYTES, store)?;
    let found = Found::read(&place, CACHE_BYTES, &mut |_, _| Ok(()))?;
    begin_heads(layout, found, store)
}

fn begin_heads(layout: &Layout, found: Found, store: StoreId) -> Result<SledHeads, StoreError> {
    let origin = Origin {
        store,
        fingerprint: None,
    };
    found
        .begin(&layout.heads().mark, origin, 0)
        .map(SledHeads::new)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::mark::{Mark, MarkFile};
    use crate::store::state::State;

    fn opened(layout: &Layout) -> StoreId {
        let opened = open(layout, CACHE_BYTES, Some(TokenKey::from_bytes([1; 32])));
        opened.expect("it opens").store
    }

    #[test]
    fn a_crash_of_the_first_start_leaves_a_store_that_opens() {
        // after the mark was made, and after the database was
        for has_database in [false, true] {
            let folder = tempfile::tempdir().expect("a folder");
            let layout = Layout::new(folder.path());
            fs::create_dir(layout.blobs()).expect("writable");
            let (records, store) = (layout.records(), StoreId::random());
            match has_database {
                true => sled_ledger::create(&records, CACHE_BYTES, store).expect("made"),
                false => {
                    let mark = Mark::now(store, State::default());
                    drop(MarkFile::create(&records.mark, mark).expect("made"));
                }
            }
            let mark = fs::read(&records.mark).expect("there");
            assert_eq!(opened(&layout), store);
            // after the database says what it belongs to, before its mark follows
            fs::write(&records.mark, mark).expect("writable");
            assert_eq!(opened(&layout), store);
        }
    }
}
