//! What the records of a database are together, in whatever order: how many there are, and the sum of their hashes.
//!
//! Each record is hashed with SHA-256, together with its key and its revision, and the hashes are added modulo 2^256 (AdHash:
//! Bellare and Micciancio, "A New Paradigm for Collision-Free Hashing", EUROCRYPT 1997). A write subtracts the hash of the old
//! record and adds that of the new one, so it costs two hashes, however many records there are. Damage that loses records,
//! brings back old ones or changes any leaves the sum as it was with a probability of 2^-256. An exclusive or would be as
//! cheap, but under it a record that is there twice would not count at all.

use sha2::{Digest as _, Sha256};

/// The length of encoded totals in bytes.
pub(super) const TOTALS_BYTES: usize = 8 + 32;

/// The number of records and the sum of their hashes. The default stands for no records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) n_records: u64,
    /// Modulo 2^256, in words of 64 bits, the lowest first.
    sum: [u64; 4],
}

/// The hash of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordHash([u64; 4]);

impl RecordHash {
    /// The hash of a record: of its key, and of its bytes, which hold its revision.
    pub(super) fn of(key: &[u8], body: &[u8]) -> Self {
        let hash: [u8; 32] = Sha256::new()
            .chain_update((key.len() as u64).to_le_bytes())
            .chain_update(key)
            .chain_update(body)
            .finalize()
            .into();
        let mut words = hash.as_chunks().0.iter().copied().map(u64::from_le_bytes);
        Self([0; 4].map(|_: u64| words.next().unwrap_or_default()))
    }
}

impl Totals {
    /// Counts a record.
    pub(super) fn add(&mut self, hash: RecordHash) {
        self.n_records = self.n_records.wrapping_add(1);
        let mut carry = false;
        for (word, other) in self.sum.iter_mut().zip(hash.0) {
            let (sum, overflows) = word.overflowing_add(other);
            let (sum, overflows_too) = sum.overflowing_add(u64::from(carry));
            *word = sum;
            carry = overflows || overflows_too;
        }
    }

    /// Takes back the count of a record.
    pub(super) fn remove(&mut self, hash: RecordHash) {
        self.n_records = self.n_records.wrapping_sub(1);
        let mut borrow = false;
        for (word, other) in self.sum.iter_mut().zip(hash.0) {
            let (rest, overflows) = word.overflowing_sub(other);
            let (rest, overflows_too) = rest.overflowing_sub(u64::from(borrow));
            *word = rest;
            borrow = overflows || overflows_too;
        }
    }

    /// The number, then the sum, little-endian.
    pub(super) fn to_bytes(self) -> [u8; TOTALS_BYTES] {
        let mut bytes = [0; TOTALS_BYTES];
        let words = std::iter::once(self.n_records).chain(self.sum);
        for (to, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
            *to = word.to_le_bytes();
        }
        bytes
    }

    /// The totals with these bytes.
    pub(super) fn from_bytes(bytes: &[u8; TOTALS_BYTES]) -> Self {
        let mut words = bytes.as_chunks().0.iter().copied().map(u64::from_le_bytes);
        let mut next = || words.next().unwrap_or_default();
        Self {
            n_records: next(),
            sum: [next(), next(), next(), next()],
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn totals<'a>(records: impl IntoIterator<Item = &'a (Vec<u8>, Vec<u8>)>) -> Totals {
        let mut totals = Totals::default();
        for (key, body) in records {
            totals.add(RecordHash::of(key, body));
        }
        totals
    }

    proptest! {
        #[test]
        fn the_order_does_not_count_and_what_is_removed_leaves_no_trace(
            mut records: Vec<(Vec<u8>, Vec<u8>)>,
            removed: (Vec<u8>, Vec<u8>),
        ) {
            let expected = totals(&records);
            let hash = RecordHash::of(&removed.0, &removed.1);
            let mut changed = Totals::default();
            changed.remove(hash);
            records.reverse();
            for (key, body) in &records {
                changed.add(RecordHash::of(key, body));
            }
            prop_assert_ne!(changed, expected);
            changed.add(hash);
            prop_assert_eq!(changed, expected);
            prop_assert_eq!(Totals::from_bytes(&expected.to_bytes()), expected);
        }
    }

    #[test]
    fn a_key_and_a_body_are_told_apart_and_equal_records_do_not_cancel_out() {
        assert_ne!(RecordHash::of(b"ab", b"c"), RecordHash::of(b"a", b"bc"));
        let record = (b"k".to_vec(), b"v".to_vec());
        let twice = totals([&record, &record]);
        assert_eq!(twice.n_records, 2);
        assert_ne!(twice.sum, Totals::default().sum);
    }

    #[test]
    fn sums_carry_over_all_words() {
        let mut totals = Totals::default();
        totals.add(RecordHash([u64::MAX; 4]));
        totals.add(RecordHash([1, 0, 0, 0]));
        assert_eq!(totals.sum, [0; 4]);
        totals.remove(RecordHash([1, 0, 0, 0]));
        assert_eq!(totals.sum, [u64::MAX; 4]);
    }

    #[test]
    fn the_hash_is_a_sha_256_of_the_length_of_the_key_the_key_and_the_body() {
        let mut totals = Totals::default();
        totals.add(RecordHash::of(b"k", b"v"));
        // computed with Python: hashlib.sha256((1).to_bytes(8, "little") + b"kv")
        assert_eq!(
            crate::store::hex::encode(&totals.to_bytes()),
            concat!(
                "0100000000000000",
                "bc5661dd94d9d56c3b94a225880b359369d233340b047a92f0110004105a276d"
            )
        );
    }
}
