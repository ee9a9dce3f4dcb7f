//! The kinds of values of options: how each is parsed from text and shown.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;

use crate::store::TokenKey;

/// A kind of value.
pub(super) trait Value: Sized {
    /// Parses the value; the error says what would be right.
    fn read(text: &str) -> Result<Self, String>;

    /// The value as text; secrets are redacted.
    fn show(&self) -> String;
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// The text of a TOML value; lists become comma-separated.
pub(super) fn text_of(value: &toml::Value) -> Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Boolean(on) => Ok(on.to_string()),
        toml::Value::Array(items) => {
            let texts: Result<Vec<_>, _> = items.iter().map(text_of).collect();
            Ok(texts?.join(","))
        }
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => Err(format!(
            "is a {}; give a string, a whole number, true or false, or a list of these",
            value.type_str()
        )),
    }
}

impl Value for bool {
    fn read(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "on" | "yes" | "1" => Ok(true),
            "false" | "off" | "no" | "0" => Ok(false),
            _ => Err(format!("`{text}` is neither true nor false")),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for usize {
    fn read(text: &str) -> Result<Self, String> {
        text.trim()
            .replace('_', "")
            .parse()
            .map_err(|_| format!("`{text}` is not a count; give a whole number, such as 64"))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for u32 {
    fn read(text: &str) -> Result<Self, String> {
        let count = usize::read(text)?;
        Self::try_from(count).map_err(|_| format!("{count} is too large; at most {}", Self::MAX))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for ByteSize {
    fn read(text: &str) -> Result<Self, String> {
        text.trim().parse().map_err(|_| {
            format!(
                "`{text}` is not a size; give a number of bytes or one with a unit, such as 64MiB"
            )
        })
    }

    fn show(&self) -> String {
        // exact, so that it can be read back
        let bytes = self.as_u64();
        for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
            if bytes >= unit && bytes.is_multiple_of(unit) {
                return format!("{}{name}", bytes / unit);
            }
        }
        format!("{bytes}B")
    }
}

impl Value for Duration {
    fn read(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text.trim()).map_err(|_| {
            format!("`{text}` is not a duration; give a number with a unit, such as 20s, 500ms or 1h 30m")
        })
    }

    fn show(&self) -> String {
        humantime::format_duration(*self).to_string()
    }
}

impl Value for SocketAddr {
    fn read(text: &str) -> Result<Self, String> {
        text.trim().parse().map_err(|_| {
            format!(
                "`{text}` is not an address; give an IP address and a port, such as 127.0.0.1:50051, 0.0.0.0:50051 or [::]:50051"
            )
        })
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for PathBuf {
    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is empty; give a path".to_owned());
        }
        Ok(Self::from(text))
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

impl Value for String {
    fn read(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl Value for LogFormat {
    fn read(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("`{text}` is not a log format; give text or json")),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Json => "json".to_owned(),
        }
    }
}

impl Value for TokenKey {
    fn read(text: &str) -> Result<Self, String> {
        Self::from_hex(text.trim())
    }

    fn show(&self) -> String {
        "<redacted>".to_owned()
    }
}

/// Empty text is no value.
impl<T: Value> Value for Option<T> {
    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(None);
        }
        T::read(text).map(Some)
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "(none)".to_owned(), T::show)
    }
}

/// Separated by commas; empty text is an empty list.
impl<T: Value> Value for Vec<T> {
    fn read(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        text.split(',').map(T::read).collect()
    }

    fn show(&self) -> String {
        let shown: Vec<_> = self.iter().map(T::show).collect();
        shown.join(",")
    }
}
