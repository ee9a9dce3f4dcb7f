//! The keys of objects.

use std::collections::HashMap;

/// The keys so far. The id of a key is its index in the order in which keys first occur.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pub(super) names: Vec<String>,
    pub(super) ids: HashMap<String, usize>,
}
