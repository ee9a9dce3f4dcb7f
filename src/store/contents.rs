//! What is in a database, compared with its mark and with itself.

use super::StoreError;
use super::losses::{Losses, Part};
use super::mark::ReadMark;
use super::references::describe;
use super::sealed::{Sealed, unseal};
use super::sled_database::Database;
use super::sled_ledger::{OWN_KEY, Origin};
use super::state::State;
use super::totals::Totals;

/// What gets each record of a database: its key and its content. What it says is damaged counts as damage to the record.
pub(super) type Visit<'a> = &'a mut dyn FnMut(&[u8], &Sealed<'_>) -> Result<(), StoreError>;

/// Everything in a database.
#[derive(Default)]
pub(super) struct Contents {
    /// `None` if it says nothing, as a new one.
    pub(super) origin: Option<Origin>,
    /// What its newest entry says.
    pub(super) newest: State,
    /// What its records are.
    pub(super) counted: Totals,
    /// The keys of the entries that stand for a removal.
    pub(super) removals: Vec<Vec<u8>>,
    /// The keys of the entries that cannot be read, and why.
    pub(super) damaged: Vec<(Vec<u8>, String)>,
}

impl Contents {
    /// Reads everything in a database. `visit` gets each record.
    pub(super) fn read(database: &Database, visit: Visit<'_>) -> Result<Self, StoreError> {
        let mut contents = Self::default();
        // if it cannot be read, it is compared as if it were not there
        if let Some(stored) = database.own(OWN_KEY)?
            && let Ok(sealed) = unseal(OWN_KEY, &stored)
        {
            contents.origin = Origin::decode(sealed.value);
            contents.newest = sealed.state();
        }
        for entry in database.entries() {
            let (key, stored) = entry?;
            match contents.count(&key, &stored, visit) {
                Err(StoreError::Damaged { how, .. }) => contents.damaged.push((key.to_vec(), how)),
                counted => counted?,
            }
        }
        Ok(contents)
    }

    fn count(&mut self, key: &[u8], stored: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        let sealed = unseal(key, stored)?;
        if sealed.is_removal {
            self.removals.push(key.to_vec());
        } else {
            visit(key, &sealed)?;
            self.counted.add(sealed.hash(key));
        }
        if sealed.revision.0 > self.newest.revision {
            self.newest = sealed.state();
        }
        Ok(())
    }

    /// Adds what is missing from the database, compared with its mark and with itself.
    pub(super) fn compare(&self, part: &Part, mark: &ReadMark, losses: &mut Losses) {
        let mut lost = |how: String| losses.add(part.clone(), how);
        match mark {
            ReadMark::Missing => {
                lost("it has no mark, so nobody knows what was acknowledged".to_owned())
            }
            ReadMark::Damaged => {
                lost("its mark is damaged, so nobody knows what was acknowledged".to_owned());
            }
            ReadMark::Whole(mark) => {
                let is_unused = mark.state.revision == 0 && self.newest.revision == 0;
                match self.origin {
                    Some(origin) if origin.store != mark.store => lost(
                        "it belongs to another store than its mark, or to the time before a loss was accepted"
                            .to_owned(),
                    ),
                    None if !is_unused => lost("it does not say which store it belongs to".to_owned()),
                    _ => {}
                }
                if self.newest.revision < mark.state.revision {
                    lost(format!(
                        "it ends at {}; acknowledged was {}",
                        self.newest,
                        mark.describe()
                    ));
                } else if self.newest.revision == mark.state.revision
                    && self.newest.totals != mark.state.totals
                {
                    lost(format!(
                        "it says {}, but not with the content that was acknowledged",
                        self.newest
                    ));
                }
            }
        }
        if self.newest.totals != self.counted {
            lost(format!(
                "it holds {} records that are not those of its newest write, {}: some are missing, old or changed",
                self.counted.n_records, self.newest
            ));
        }
        for (key, how) in &self.damaged {
            losses.add(Part::Record(describe(key)), how.clone());
        }
    }
}
