//! The layout of records, which follows from the first one.

use super::dialect::Dialect;
use crate::table::shortened;

/// The layout of every record of a file.
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
