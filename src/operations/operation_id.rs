//! The ids of operations.

use std::fmt;

use crate::store::now_ms;

/// The id of an operation: the time at which it began, in milliseconds since 1970, and the lower bits of a random UUID. So ids are
/// in the order in which operations began, and nobody can guess one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(u128);

/// How many bits come from a UUID; all but six of them are random.
const UUID_BITS: u32 = 80;

impl OperationId {
    /// An id before all others.
    pub(super) const FIRST: Self = Self(0);

    /// An id after all others.
    pub(super) const LAST: Self = Self(u128::MAX);

    /// A new id.
    pub(super) fn new() -> Self {
        let random = uuid::Uuid::new_v4().as_u128() & ((1 << UUID_BITS) - 1);
        let time = u128::try_from(now_ms()).unwrap_or(0);
        Self(time << UUID_BITS | random)
    }

    /// The id with this text, if it is one.
    pub fn parse(text: &str) -> Option<Self> {
        let id = Self(u128::from_str_radix(text, 16).ok()?);
        // each id has one spelling: no sign, no capitals, no missing digits
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_differ_and_have_one_spelling() {
        let ids: BTreeSet<OperationId> = (0..1000).map(|_| OperationId::new()).collect();
        assert_eq!(ids.len(), 1000);
        for id in ids {
            let text = id.to_string();
            assert_eq!((text.len(), OperationId::parse(&text)), (32, Some(id)));
            let other = text.to_uppercase();
            assert!(other == text || OperationId::parse(&other).is_none());
            for other in [&text[1..], &format!("+{}", &text[1..]), &format!("0{text}")] {
                assert_eq!(OperationId::parse(other), None, "{other}");
            }
        }
        assert_eq!(OperationId::parse(""), None);
    }
}
