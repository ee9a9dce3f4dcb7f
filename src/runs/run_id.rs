//! The ids that clients give to runs.

use std::fmt;

use crate::caller::check_name;
use crate::error::{Error, Result, reason};

/// A run id, checked by [`check_name`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(String);

impl RunId {
    /// Checks a run id.
    pub fn parse(id: impl Into<String>) -> Result<Self> {
        let id = id.into();
        check_name("run_id", &id)?;
        Ok(Self(id))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The error for a run that does not exist or belongs to another owner: the same for both.
    pub(super) fn not_found(&self) -> Error {
        Error::new(
            reason::RUN_NOT_FOUND,
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
