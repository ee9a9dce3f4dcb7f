//! The names that clients give: of runs, and of requests that must not happen twice.

use std::fmt;

use crate::error::{Error, Reason, Result};

/// The longest id in bytes.
const MAX_BYTES: usize = 128;

/// A checked run id: 1 to 128 bytes without control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(String);

impl RunId {
    /// Checks a run id.
    pub fn parse(id: impl Into<String>) -> Result<Self> {
        let id = id.into();
        check("run_id", &id)?;
        Ok(Self(id))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The error that says that this run does not exist, or belongs to someone else: the same for both.
    pub(super) fn not_found(&self) -> Error {
        Error::new(
            Reason::RunNotFound,
            format!(
                "there is no run {:?} under this token; train one first",
                self.0
            ),
        )
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A checked request id: 1 to 128 bytes without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// Checks a request id; an empty one is none.
    pub fn parse(id: String) -> Result<Option<Self>> {
        if id.is_empty() {
            return Ok(None);
        }
        check("request_id", &id)?;
        Ok(Some(Self(id)))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check(field: &str, id: &str) -> Result<()> {
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
        assert!(RunId::parse("ä".repeat(64)).is_ok());
        assert!(RunId::parse("ä".repeat(64) + "a").is_err());
        assert!(RunId::parse("").is_err());
        for id in ["a\nb", "\0", "a\u{7f}", "\u{85}"] {
            assert!(RunId::parse(id).is_err(), "{id:?}");
        }
        assert_eq!(RequestId::parse(String::new()).expect("none"), None);
    }
}
