//! The configuration: one [`Config`], from flags, environment variables (`ANOMALYD_*`) and a TOML file, in this order of
//! precedence.
//!
//! All three are read as text, with one parser for each kind of value. So an option means the same wherever it is
//! given, and every error names the option, where it came from, and what would be right.

mod options;
mod validate;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

pub use options::{Config, Flags};
pub use value::LogFormat;

use crate::store::TokenKey;

use options::NAMES;

/// Why a configuration was refused. The text says what would be right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file that the configuration names cannot be read.
    #[error("cannot read {}: {source}; `{option}` must name a readable file", path.display())]
    File {
        /// The option that named the file.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The configuration file is not TOML.
    #[error("{} is not valid TOML: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What the parser said, with line and column.
        message: String,
    },
    /// The configuration file has a key that is not an option.
    #[error("{}: unknown option `{key}`; {hint}", path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The nearest option, or where to find them all.
        hint: String,
    },
    /// A value cannot be read, or is out of range.
    #[error("`{option}`{origin}: {problem}")]
    Value {
        /// The option.
        option: &'static str,
        /// Where the value came from.
        origin: Origin,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
}

impl ConfigError {
    fn value(option: &'static str, problem: impl Into<String>) -> Self {
        Self::Value {
            option,
            origin: Origin::Unknown,
            problem: problem.into(),
        }
    }
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Not known: the rule that was broken spans several options.
    Unknown,
    /// A flag, or its environment variable.
    FlagOrEnvironment,
    /// The configuration file.
    File(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => Ok(()),
            Self::FlagOrEnvironment => f.write_str(" (flag or environment)"),
            Self::File(path) => write!(f, " (in {})", path.display()),
        }
    }
}

/// The text of each option that was given.
type Given = BTreeMap<&'static str, (String, Origin)>;

impl Config {
    /// Merges the flags (which include the environment) over the file that they name and over the defaults, and validates
    /// the result.
    ///
    /// # Errors
    /// When a file cannot be read, a key is unknown, a value is invalid, or options contradict each other.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        let mut given = match &flags.config {
            Some(path) => read_file(path)?,
            None => Given::new(),
        };
        for (name, text) in flags.given() {
            given.insert(name, (text.to_owned(), Origin::FlagOrEnvironment));
        }
        let mut config = Self::parse(&given)?;
        config.read_key_file()?;
        config.validate()?;
        Ok(config)
    }

    fn read_key_file(&mut self) -> Result<(), ConfigError> {
        let Some(path) = &self.token_key_file else {
            return Ok(());
        };
        if self.token_key.is_some() {
            return Err(ConfigError::value(
                "token_key",
                "given together with `token_key_file`; give only one of them",
            ));
        }
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::File {
            option: "token_key_file",
            path: path.clone(),
            source,
        })?;
        let key = TokenKey::from_hex(&text).map_err(|problem| ConfigError::Value {
            option: "token_key_file",
            origin: Origin::File(path.clone()),
            problem,
        })?;
        self.token_key = Some(key);
        Ok(())
    }
}

/// One line for each option, `name = value`, with secrets redacted.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.shown().into_iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{name} = {value}")?;
        }
        Ok(())
    }
}

fn read_file(path: &Path) -> Result<Given, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::File {
        option: "config",
        path: path.to_owned(),
        source,
    })?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let place = error
            .span()
            .map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1)
            .map_or_else(String::new, |line| format!("line {line}: "));
        ConfigError::Syntax {
            path: path.to_owned(),
            // only the reason: the parser's full text quotes the line, which may hold a secret
            message: format!("{place}{}", error.message().replace('\n', ", ")),
        }
    })?;

    let origin = Origin::File(path.to_owned());
    let mut given = Given::new();
    for (key, value) in table {
        let Some(name) = NAMES.iter().find(|name| **name == key) else {
            return Err(ConfigError::UnknownKey {
                path: path.to_owned(),
                hint: nearest(&key),
                key,
            });
        };
        let text = value::text_of(&value).map_err(|problem| ConfigError::Value {
            option: name,
            origin: origin.clone(),
            problem,
        })?;
        given.insert(name, (text, origin.clone()));
    }
    Ok(given)
}

fn nearest(key: &str) -> String {
    let wanted = key.to_lowercase().replace('-', "_");
    let best = NAMES
        .iter()
        .map(|name| (strsim::jaro_winkler(&wanted, name), name))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match best {
        Some((similarity, name)) if similarity > 0.75 => format!("did you mean `{name}`?"),
        _ => format!("the options are {}", NAMES.join(", ")),
    }
}

#[cfg(test)]
mod tests;
