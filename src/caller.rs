//! The caller of a request: who it is, how long it waits, and the ids it gives.

use std::time::Instant;

use crate::error::{Error, Result};
use crate::store::Owner;

/// The longest id in bytes.
const MAX_BYTES: usize = 128;

/// Who sent a request, and for how long they wait for the response.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// The owner of the runs and datasets that the request names.
    pub owner: Owner,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
}

/// When the caller stops waiting. The server adds it to the extensions of a request that has a deadline.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(pub Instant);

/// A checked request id: 1 to 128 bytes without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// Checks a request id; `None` if it is empty.
    pub fn parse(id: String) -> Result<Option<Self>> {
        if id.is_empty() {
            return Ok(None);
        }
        check_id("request_id", &id)?;
        Ok(Some(Self(id)))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Fails at the field unless the id has 1 to 128 bytes and no control characters.
pub fn check_id(field: &str, id: &str) -> Result<()> {
    let problem = if id.is_empty() {
        "is empty".to_owned()
    } else if id.len() > MAX_BYTES {
        format!("has {} bytes", id.len())
    } else if id.chars().any(char::is_control) {
        "has control characters".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::field(
        field,
        format!("{field} {problem}; it must have 1 to {MAX_BYTES} bytes and no control characters"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_in_bytes() {
        assert!(check_id("run_id", &"ä".repeat(64)).is_ok());
        assert!(check_id("run_id", &("ä".repeat(64) + "a")).is_err());
        assert!(check_id("run_id", "").is_err());
        for id in ["a\nb", "\0", "a\u{7f}", "\u{85}"] {
            assert!(check_id("run_id", id).is_err(), "{id:?}");
        }
        assert_eq!(RequestId::parse(String::new()).expect("none"), None);
    }
}
