//! The caller of a request: who it is, how long it waits, and the ids it gives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result, reason};
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

/// Whether the caller of a request still waits for its response, and whether the work ends when they leave. The server adds it to the
/// extensions of requests whose work can outlive their callers. The default is a caller who never leaves. Clones share both.
#[derive(Debug, Clone, Default)]
pub struct Presence {
    left: CancellationToken,
    outlived: Arc<AtomicBool>,
}

impl Presence {
    /// Says that the caller has left.
    pub fn leave(&self) {
        self.left.cancel();
    }

    /// Waits until the caller has left.
    pub async fn left(&self) {
        self.left.cancelled().await;
    }

    /// Lets the work go on when the caller leaves.
    pub fn outlive(&self) {
        self.outlived.store(true, Ordering::Relaxed);
    }

    /// Whether the work goes on when the caller leaves.
    pub fn is_outlived(&self) -> bool {
        self.outlived.load(Ordering::Relaxed)
    }
}

/// The id of a request that may be sent again, checked by [`check_name`], and a fingerprint of what the request asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestId {
    id: String,
    /// A SHA-256.
    #[serde(with = "serde_bytes")]
    fingerprint: [u8; 32],
}

/// A fingerprint of a request that is being made, part by part.
#[derive(Debug)]
pub struct Fingerprint(Sha256);

impl Fingerprint {
    /// Adds a part. Requests have the same fingerprint only if all their parts are the same.
    pub fn add(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
    }
}

impl RequestId {
    /// Checks a request id; `None` if it is empty. `content` adds what the request asks of the method, always in the same way.
    ///
    /// Fails also when `content` does.
    pub fn parse(
        id: &str,
        method: &str,
        content: impl FnOnce(&mut Fingerprint) -> Result<()>,
    ) -> Result<Option<Self>> {
        if id.is_empty() {
            return Ok(None);
        }
        check_name("request_id", id)?;
        let mut fingerprint = Fingerprint(Sha256::new());
        fingerprint.add(method.as_bytes());
        content(&mut fingerprint)?;
        Ok(Some(Self {
            id: id.to_owned(),
            fingerprint: fingerprint.0.finalize().into(),
        }))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.id
    }

    /// Whether this is a request that came before, sent again. Fails if only its id is the same.
    pub fn repeats(&self, earlier: &Self) -> Result<bool> {
        if self.id != earlier.id {
            return Ok(false);
        }
        if self.fingerprint == earlier.fingerprint {
            return Ok(true);
        }
        let message = format!(
            "the request_id {:?} was used for another request; nothing was done, send this one with an id of its own",
            self.id
        );
        Err(Error::new(reason::REQUEST_ID_REUSED, message).at("request_id"))
    }
}

/// Fails at the field unless the id is a name that people can tell from others: 1 to 128 bytes without control or invisible
/// characters or those that change the direction of writing, and without white space at its ends.
pub fn check_name(field: &str, id: &str) -> Result<()> {
    check_id(field, id)?;
    let problem = if id.trim() != id {
        "begins or ends with white space".to_owned()
    } else if let Some(invisible) = id.chars().find(|c| is_invisible(*c)) {
        format!("has the invisible character U+{:04X}", u32::from(invisible))
    } else {
        return Ok(());
    };
    let message = format!("{field} {problem}, so that it may look like another; leave it out");
    Err(Error::field(field, message))
}

/// Whether a character is not shown, or only changes how others are: the format characters and separators of lines in Unicode,
/// and the letters that stand for none. Variation selectors, which emoji have, and accents are no such characters.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
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
    }

    #[test]
    fn a_name_has_nothing_that_people_cannot_see() {
        for name in [
            "run",
            "a b",
            "mesure de température",
            "पंप ३",
            "泵",
            "a-b_c.d/e",
            "❤️",
        ] {
            assert!(check_name("run_id", name).is_ok(), "{name:?}");
        }
        let hidden = [
            " a",
            "a ",
            "a\u{3000}",
            "a\u{200b}",
            "a\u{202e}b",
            "\u{feff}a",
            "a\u{ad}b",
            "\u{3164}",
            "a\u{2066}b",
            "a\u{e0041}",
            "a\u{2028}b",
        ];
        for name in hidden {
            let error = check_name("run_id", name).expect_err("hidden");
            assert_eq!(error.field_path(), Some("run_id"), "{name:?}");
        }
    }

    #[test]
    fn a_request_repeats_one_of_the_same_id_method_and_content() {
        let request = |id: &str, method: &str, content: &[&str]| {
            let id = RequestId::parse(id, method, |fingerprint| {
                for part in content {
                    fingerprint.add(part.as_bytes());
                }
                Ok(())
            });
            id.expect("valid").expect("some")
        };
        let first = request("a", "Train", &["rows", "x"]);
        assert!(
            request("a", "Train", &["rows", "x"])
                .repeats(&first)
                .expect("the same")
        );
        assert!(
            !request("b", "Train", &["rows", "x"])
                .repeats(&first)
                .expect("another")
        );
        for other in [
            request("a", "Train", &["row", "sx"]),
            request("a", "Train", &["rowsx"]),
            request("a", "Train", &["rows", "x", ""]),
            request("a", "Update", &["rows", "x"]),
        ] {
            let error = other.repeats(&first).expect_err("the id was used before");
            assert_eq!(error.reason(), reason::REQUEST_ID_REUSED);
            assert_eq!(error.field_path(), Some("request_id"));
        }
        let unasked = RequestId::parse("", "Train", |_| panic!("there is no id"));
        assert_eq!(unasked.expect("none"), None);
        assert!(RequestId::parse("a\n", "Train", |_| Ok(())).is_err());
    }
}
