//! The ids of operations.

use std::fmt;

/// The id of an operation: a UUID of version 7, whose first bits are the time. Ids are in the order in which operations began, also
/// within a millisecond and after the clock was set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(u128);

impl OperationId {
    /// An id before all others.
    pub(super) const FIRST: Self = Self(0);

    /// An id after all others.
    pub(super) const LAST: Self = Self(u128::MAX);

    /// A new id, larger than all before.
    pub(super) fn new() -> Self {
        Self(uuid::Uuid::now_v7().as_u128())
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
    use super::*;

    #[test]
    fn ids_grow_and_have_one_spelling() {
        let ids: Vec<OperationId> = (0..1000).map(|_| OperationId::new()).collect();
        assert!(ids.is_sorted_by(|earlier, later| earlier < later));
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
