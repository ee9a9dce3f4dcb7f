//! The head of a log: which entries it has, and in which segments they lie. What the files hold beyond it was never
//! acknowledged.

use serde::{Deserialize, Serialize};

use super::{LogBounds, LogName, MAX_RECORD_BYTES, Record, Retain, StoreError};

/// The least size of a segment that another one may follow.
const MIN_SEGMENT_BYTES: u64 = 1 << 20;

/// A segment is full at one eighth of the whole log: that makes few segments, and keeps little for
/// longer than asked.
const SEGMENT_SHARE: u64 = 8;

/// The most segments, so that a head stays a small value. Segments grow with the log, so even petabytes need fewer.
const MAX_SEGMENTS: usize = 256;

/// The head of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// The number of the oldest kept entry.
    pub(super) first: u64,
    /// The number of the next entry.
    pub(super) next: u64,
    /// The segments, in order: the number of the first entry, and the bytes of all entries. None is
    /// empty, and the last one is appended to.
    segments: Vec<(u64, u64)>,
}

/// A segment of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// The number of its first entry, which names its file.
    pub(super) first: u64,
    /// How many bytes its entries take.
    pub(super) n_bytes: u64,
}

impl Head {
    /// The head of an empty log.
    pub(super) fn empty() -> Self {
        Self {
            first: 1,
            next: 1,
            segments: Vec::new(),
        }
    }

    /// Encodes it as a record of its log.
    pub(super) fn encode(&self) -> Result<Record, StoreError> {
        let value = rmp_serde::to_vec(self).map_err(|error| StoreError::Damaged {
            what: "the head of a log",
            how: format!("it cannot be encoded: {error}"),
        })?;
        if value.len() > MAX_RECORD_BYTES {
            return Err(StoreError::TooLarge {
                what: "the head of a log",
                size: value.len(),
                limit: MAX_RECORD_BYTES,
            });
        }
        Ok(Record::new(value))
    }

    /// Decodes and validates the value of a record.
    pub(super) fn decode(log: LogName, value: &[u8]) -> Result<Self, StoreError> {
        let head: Self = rmp_serde::from_slice(value)
            .map_err(|error| damaged(log, format!("its head cannot be decoded: {error}")))?;
        let bounds: Vec<u64> = head
            .segments
            .iter()
            .map(|segment| segment.0)
            .chain([head.next])
            .collect();
        let ascends = bounds.is_sorted_by(|a, b| a < b);
        let starts = bounds[0] <= head.first && head.first <= head.next;
        let sizes = head
            .segments
            .iter()
            .try_fold(0_u64, |sum, segment| sum.checked_add(segment.1));
        if ascends && starts && bounds[0] > 0 && sizes.is_some() {
            Ok(head)
        } else {
            Err(damaged(log, "its head contradicts itself".to_owned()))
        }
    }

    /// The segments, in order.
    pub(super) fn segments(&self) -> impl DoubleEndedIterator<Item = Segment> + '_ {
        let segments = self.segments.iter();
        segments.map(|&(first, n_bytes)| Segment { first, n_bytes })
    }

    /// The segment that holds an entry, and the number after its last entry.
    pub(super) fn segment_of(&self, sequence: u64) -> Option<(Segment, u64)> {
        if sequence >= self.next {
            return None;
        }
        let behind = self
            .segments
            .partition_point(|(first, _)| *first <= sequence);
        let (first, n_bytes) = *self.segments.get(behind.checked_sub(1)?)?;
        let end = self.segments.get(behind).map_or(self.next, |next| next.0);
        Some((Segment { first, n_bytes }, end))
    }

    /// The segment that the next entries are appended to; `None` if they begin a new one.
    pub(super) fn open_segment(&self) -> Option<Segment> {
        let last = self.segments().next_back()?;
        let full = (self.n_bytes() / SEGMENT_SHARE).max(MIN_SEGMENT_BYTES);
        (last.n_bytes < full || self.segments.len() >= MAX_SEGMENTS).then_some(last)
    }

    /// Adds entries that were written to the end of a segment, or to a new one.
    pub(super) fn append(&mut self, segment: Segment, n_entries: u64, n_bytes: u64) {
        match self.segments.last_mut() {
            Some(last) if last.0 == segment.first => last.1 = segment.n_bytes + n_bytes,
            _ => self.segments.push((segment.first, n_bytes)),
        }
        self.next += n_entries;
    }

    /// Drops old entries. Returns the segments that are dropped with them.
    pub(super) fn trim(&mut self, retain: Retain) -> Vec<u64> {
        let n_dropped = match retain {
            Retain::From(sequence) => {
                self.first = self.first.max(sequence.min(self.next));
                let ends = self.segments.iter().skip(1).map(|segment| segment.0);
                ends.chain([self.next])
                    .take_while(|end| *end <= self.first)
                    .count()
                    .min(self.segments.len())
            }
            Retain::Bytes(n_bytes) => {
                let mut left = self.n_bytes();
                let mut n_dropped = 0;
                // the last segment is appended to, so it stays
                while n_dropped + 1 < self.segments.len()
                    && left - self.segments[n_dropped].1 >= n_bytes
                {
                    left -= self.segments[n_dropped].1;
                    n_dropped += 1;
                }
                n_dropped
            }
        };
        let dropped = self.segments.drain(..n_dropped).map(|s| s.0).collect();
        let oldest = self.segments.first().map_or(self.next, |segment| segment.0);
        self.first = self.first.max(oldest);
        dropped
    }

    pub(super) fn bounds(&self) -> LogBounds {
        LogBounds {
            first: self.first,
            next: self.next,
            n_bytes: self.n_bytes(),
        }
    }

    fn n_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.1).sum()
    }
}

/// The error for a damaged log.
pub(super) fn damaged(log: LogName, how: String) -> StoreError {
    StoreError::Damaged {
        what: "a log",
        how: format!("{log}: {how}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appends entries of 1000 bytes each, one by one.
    fn fill(head: &mut Head, n_entries: u64) {
        for _ in 0..n_entries {
            let segment = head.open_segment().unwrap_or(Segment {
                first: head.next,
                n_bytes: 0,
            });
            head.append(segment, 1, 1000);
        }
    }

    #[test]
    fn segments_grow_with_the_log_and_cover_it() {
        let mut head = Head::empty();
        fill(&mut head, 40_000);
        assert_eq!(head.bounds().n_bytes, 40_000_000);
        let n_segments = head.segments().count();
        assert!((8..30).contains(&n_segments), "{n_segments}");
        for sequence in [1, 2, 1049, 1050, 20_000, 40_000] {
            let (segment, end) = head.segment_of(sequence).expect("there");
            assert!(segment.first <= sequence && sequence < end);
        }
        assert_eq!(head.segment_of(40_001), None);
        let log = LogName::random();
        let record = head.encode().expect("small");
        assert_eq!(Head::decode(log, &record.value).expect("whole"), head);
    }

    #[test]
    fn trimming_by_size_keeps_what_was_asked_for_and_little_more() {
        let mut head = Head::empty();
        for _ in 0..500 {
            fill(&mut head, 1000);
            head.trim(Retain::Bytes(20_000_000));
        }
        let kept = head.bounds();
        assert!((20_000_000..24_000_000).contains(&kept.n_bytes), "{kept:?}");
        assert!(head.segments().count() < 24);
        assert_eq!(kept.next, 500_001);
    }

    #[test]
    fn entries_are_dropped_by_number_and_segments_whole() {
        let mut head = Head::empty();
        fill(&mut head, 5000);
        let firsts: Vec<u64> = head.segments().map(|segment| segment.first).collect();
        assert!(head.trim(Retain::From(firsts[1] - 1)).is_empty());
        assert_eq!(head.first, firsts[1] - 1);
        assert_eq!(head.trim(Retain::From(firsts[1])), firsts[..1]);
        assert!(head.trim(Retain::From(3)).is_empty(), "dropped already");
        assert_eq!(head.first, firsts[1]);
        assert_eq!(head.trim(Retain::From(u64::MAX)), firsts[1..]);
        assert_eq!((head.first, head.next), (5001, 5001));
        assert_eq!(head.open_segment(), None);
        fill(&mut head, 1);
        assert_eq!(head.segment_of(5001).expect("there").0.first, 5001);
    }

    #[test]
    fn a_head_that_contradicts_itself_is_refused() {
        let log = LogName::random();
        let head = |first, next, segments| Head {
            first,
            next,
            segments,
        };
        for bad in [
            head(1, 0, vec![]),
            head(2, 1, vec![]),
            head(0, 0, vec![]),
            head(1, 5, vec![(2, 10)]),
            head(3, 5, vec![(1, 10), (1, 10)]),
            head(3, 5, vec![(1, 10), (5, 10)]),
            head(1, 5, vec![(1, u64::MAX), (3, 1)]),
        ] {
            let record = bad.encode().expect("small");
            assert!(Head::decode(log, &record.value).is_err(), "{bad:?}");
        }
    }
}
