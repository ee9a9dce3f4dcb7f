//! The audit of a store: a file that is only appended to, with a line of JSON for whatever took from the store what it had
//! acknowledged. It holds times, events and counts, never values or tokens.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Map, Value};

use super::record::now_ms;
use super::{StoreError, files};

/// Appends a line, durably: the time, the event and the counts.
pub(super) fn append(
    path: &Path,
    event: &str,
    counts: impl IntoIterator<Item = (&'static str, Value)>,
) -> Result<(), StoreError> {
    let mut line = Map::new();
    line.insert("at".to_owned(), rfc3339(now_ms()).into());
    line.insert("event".to_owned(), event.into());
    line.extend(counts.into_iter().map(|(name, n)| (name.to_owned(), n)));
    let line = format!("{}\n", Value::Object(line));
    let write = || {
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .and_then(|mut file| {
                file.write_all(line.as_bytes())?;
                file.sync_all()
            })?;
        path.parent().map_or(Ok(()), files::sync_folder)
    };
    write().map_err(StoreError::io("write the audit of the store"))
}

/// A time in milliseconds since 1970, for people.
pub(super) fn rfc3339(ms: i64) -> String {
    // a damaged time must not overflow what can be written
    const YEAR_9999_MS: u64 = 253_402_300_799_000;
    let ms = u64::try_from(ms).unwrap_or(0).min(YEAR_9999_MS);
    let time = UNIX_EPOCH + Duration::from_millis(ms);
    humantime::format_rfc3339_millis(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_appended() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.jsonl");
        append(&path, "one", [("n", 1.into())]).expect("written");
        append(&path, "two", [("n", 2.into())]).expect("written");
        let text = std::fs::read_to_string(&path).expect("readable");
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(
            (&lines[0]["event"], &lines[1]["n"]),
            (&"one".into(), &2.into())
        );
    }

    #[test]
    fn any_time_can_be_written() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(-5), rfc3339(0));
        assert!(rfc3339(i64::MAX).starts_with("9999-12-31"));
    }
}
