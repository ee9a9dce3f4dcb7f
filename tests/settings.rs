//! Settings of tests, from the environment.

use std::path::PathBuf;
use std::str::FromStr;

/// The value of a variable of the environment, if it is set.
pub(crate) fn setting<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is {text:?}")),
    )
}

/// The program under test: the one that `TESTED_PROGRAM` names, or the one that was built with the tests.
pub(crate) fn program() -> PathBuf {
    setting("TESTED_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_anomalyd").into())
}
