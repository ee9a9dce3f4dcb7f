//! The keys of objects.

use std::collections::HashMap;

/// The keys met so far. The id of a key is its place in the order in which keys were met.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pub(super) names: Vec<String>,
    pub(super) ids: HashMap<String, usize>,
}
