//! What the first record of a file says of all.

use super::dialect::Dialect;
use crate::table::shortened;

/// What holds of every record of a file.
pub(super) struct Layout {
    pub(super) dialect: Dialect,
    pub(super) encoding: String,
    pub(super) has_header: bool,
    pub(super) names: Option<Vec<String>>,
}

impl Layout {
    pub(super) fn display_name(&self, column: usize) -> String {
        match &self.names {
            Some(names) => shortened(&names[column]),
            None => format!("\"f{column}\""),
        }
    }
}
