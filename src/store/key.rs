//! The keys of records: a tag for the kind of record, the owner, then the name that the owner gave.
//!
//! The records of one owner stand together, in the order of their names.

use super::Owner;

/// The tag of runs.
const RUN: u8 = b'r';

/// The tag of what is known of the unknown features of a run.
const UNKNOWN_FEATURES: u8 = b'u';

/// The length of what stands before the name, in bytes.
const PREFIX: usize = 1 + Owner::SIZE;

/// The key of a run: 17 bytes, then the run id.
pub fn run_key(owner: Owner, run_id: &str) -> Vec<u8> {
    let mut key = owner_prefix(owner);
    key.extend_from_slice(run_id.as_bytes());
    key
}

/// The key of what is known of the unknown features of a run, given the run's key.
pub fn unknown_features_key(run_key: &[u8]) -> Vec<u8> {
    let mut key = run_key.to_vec();
    if let Some(tag) = key.first_mut() {
        *tag = UNKNOWN_FEATURES;
    }
    key
}

/// What the keys of all runs of an owner start with, and no others.
pub fn owner_prefix(owner: Owner) -> Vec<u8> {
    let mut prefix = Vec::with_capacity(PREFIX);
    prefix.push(RUN);
    prefix.extend_from_slice(owner.as_bytes());
    prefix
}

/// What the keys of all runs of all owners start with.
pub fn all_runs_prefix() -> &'static [u8] {
    &[RUN]
}

/// The owner and the run id of a run's key; `None` for any other key.
pub fn parse_run_key(key: &[u8]) -> Option<(Owner, &str)> {
    let (owner, run_id) = key.strip_prefix(&[RUN])?.split_first_chunk()?;
    Some((Owner::from_bytes(*owner), std::str::from_utf8(run_id).ok()?))
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
        }

        #[test]
        fn any_bytes_can_be_parsed(key: Vec<u8>) {
            if let Some((owner, run_id)) = parse_run_key(&key) {
                prop_assert_eq!(run_key(owner, run_id), key);
            }
        }
    }

    #[test]
    fn short_or_foreign_keys_are_no_runs() {
        assert_eq!(parse_run_key(b""), None);
        assert_eq!(parse_run_key(b"r0123456789abcde"), None);
        assert_eq!(parse_run_key(b"x0123456789abcdef"), None);
        assert_eq!(parse_run_key(b"r0123456789abcdef\xff"), None);
    }
}
