//! Finds the series whose last row came longest ago.

use std::collections::BTreeMap;

/// The order in which slots were last touched.
#[derive(Debug, Clone, Default)]
pub(super) struct Recency {
    clock: u64,
    slots: BTreeMap<u64, usize>,
    stamps: Vec<u64>,
}

impl Recency {
    /// Makes a slot the most recent one. A new slot has the next number, or that of a slot that was taken.
    pub(super) fn touch(&mut self, slot: usize) {
        match self.stamps.get(slot) {
            None => self.stamps.push(self.clock),
            Some(stamp) if stamp + 1 == self.clock && self.slots.contains_key(stamp) => return,
            Some(stamp) => {
                self.slots.remove(stamp);
                self.stamps[slot] = self.clock;
            }
        }
        self.slots.insert(self.clock, slot);
        self.clock += 1;
    }

    /// Removes the slot that was touched longest ago, and returns it.
    pub(super) fn take_oldest(&mut self) -> Option<usize> {
        self.slots.pop_first().map(|(_, slot)| slot)
    }

    /// The slots, from the one touched longest ago to the most recent one.
    pub(super) fn oldest_first(&self) -> impl Iterator<Item = usize> {
        self.slots.values().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_touched_longest_ago_is_taken_first() {
        let mut recency = Recency::default();
        for slot in [0, 1, 2, 0, 0, 2] {
            recency.touch(slot);
        }
        assert_eq!(recency.oldest_first().collect::<Vec<_>>(), [1, 0, 2]);
        assert_eq!(recency.take_oldest(), Some(1));
        recency.touch(1);
        assert_eq!(recency.oldest_first().collect::<Vec<_>>(), [0, 2, 1]);
        for left in [0, 2, 1] {
            assert_eq!(recency.take_oldest(), Some(left));
        }
        assert_eq!(recency.take_oldest(), None);
    }
}
