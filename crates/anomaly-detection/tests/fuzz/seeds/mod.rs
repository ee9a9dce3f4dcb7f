//! Valid inputs of every target, from which fuzzing starts.

mod columns;
mod models;
mod texts;

/// A valid input.
pub(crate) struct Seed {
    pub(crate) target: &'static str,
    pub(crate) name: String,
    pub(crate) content: Vec<u8>,
}

impl Seed {
    fn new(target: &'static str, name: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self {
            target,
            name: name.into(),
            content: content.into(),
        }
    }
}

/// The seeds of all targets.
pub(crate) fn all() -> Vec<Seed> {
    let mut seeds = texts::seeds();
    seeds.extend(columns::seeds());
    seeds.extend(models::seeds());
    seeds
}
