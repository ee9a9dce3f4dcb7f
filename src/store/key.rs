//! The keys of records: a tag for the kind of record, the owner, then the id that the owner chose.
//!
//! Records of one kind and one owner are adjacent, in the order of their ids.

use super::Owner;

/// The tag of runs.
const RUN: u8 = b'r';

/// The tag of the records of unknown features.
const UNKNOWN_FEATURES: u8 = b'u';

/// The tag of datasets.
const DATASET: u8 = b'd';

/// The number of bytes before the id.
const PREFIX: usize = 1 + Owner::SIZE;

/// The key of a run: 17 bytes, then the run id.
pub fn run_key(owner: Owner, run_id: &str) -> Vec<u8> {
    key(RUN, owner, run_id)
}

/// The key of the record of a run's unknown features, from the run's key.
pub fn unknown_features_key(run_key: &[u8]) -> Vec<u8> {
    let mut key = run_key.to_vec();
    if let Some(tag) = key.first_mut() {
        *tag = UNKNOWN_FEATURES;
    }
    key
}

/// The common prefix of the keys of an owner's runs, which no other key has.
pub fn owner_prefix(owner: Owner) -> Vec<u8> {
    key(RUN, owner, "")
}

/// The common prefix of the keys of all runs.
pub fn all_runs_prefix() -> &'static [u8] {
    &[RUN]
}

/// The owner and the run id of a run's key; `None` for any other key.
pub fn parse_run_key(key: &[u8]) -> Option<(Owner, &str)> {
    parse(RUN, key)
}

/// The key of a dataset: 17 bytes, then the dataset's id.
pub fn dataset_key(owner: Owner, dataset_id: &str) -> Vec<u8> {
    key(DATASET, owner, dataset_id)
}

/// The common prefix of the keys of an owner's datasets, which no other key has.
pub fn datasets_prefix(owner: Owner) -> Vec<u8> {
    key(DATASET, owner, "")
}

/// The common prefix of the keys of all datasets.
pub fn all_datasets_prefix() -> &'static [u8] {
    &[DATASET]
}

/// The owner and the id of a dataset's key; `None` for any other key.
pub fn parse_dataset_key(key: &[u8]) -> Option<(Owner, &str)> {
    parse(DATASET, key)
}

fn key(tag: u8, owner: Owner, name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(PREFIX + name.len());
    key.push(tag);
    key.extend_from_slice(owner.as_bytes());
    key.extend_from_slice(name.as_bytes());
    key
}

fn parse(tag: u8, key: &[u8]) -> Option<(Owner, &str)> {
    let (owner, name) = key.strip_prefix(&[tag])?.split_first_chunk()?;
    Some((Owner::from_bytes(*owner), std::str::from_utf8(name).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_can_be_read_back(owner: [u8; 16], run_id: String) {
            let owner = Owner::from_bytes(owner);
            let key = run_key(owner, &run_id);
            prop_assert!(key.starts_with(&owner_prefix(owner)));
            prop_assert!(key.starts_with(all_runs_prefix()));
            prop_assert_eq!(parse_run_key(&key), Some((owner, run_id.as_str())));
            prop_assert_eq!(parse_dataset_key(&key), None);

            let key = dataset_key(owner, &run_id);
            prop_assert!(key.starts_with(&datasets_prefix(owner)));
            prop_assert!(key.starts_with(all_datasets_prefix()));
            prop_assert_eq!(parse_dataset_key(&key), Some((owner, run_id.as_str())));
            prop_assert_eq!(parse_run_key(&key), None);
        }

        #[test]
        fn any_bytes_can_be_parsed(key: Vec<u8>) {
            if let Some((owner, run_id)) = parse_run_key(&key) {
                prop_assert_eq!(run_key(owner, run_id), key);
            }
        }
    }

    #[test]
    fn short_or_foreign_keys_are_not_keys_of_runs() {
        assert_eq!(parse_run_key(b""), None);
        assert_eq!(parse_run_key(b"r0123456789abcde"), None);
        assert_eq!(parse_run_key(b"x0123456789abcdef"), None);
        assert_eq!(parse_run_key(b"r0123456789abcdef\xff"), None);
    }
}
