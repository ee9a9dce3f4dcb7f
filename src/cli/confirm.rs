//! Asks for confirmation before what cannot be taken back.

use std::io::{self, BufRead, IsTerminal, Write};

use super::error::{Error, Result};

/// Asks at the terminal whether to delete `what`, and fails unless the answer is yes. Without a terminal, --yes is needed.
pub(super) fn confirm_deletion(what: &str) -> Result<()> {
    confirm("delete", &format!("delete {what}?"), "nothing was deleted")
}

/// Asks a question of a command at the terminal, and fails with `otherwise` unless the answer is yes. Without a terminal, --yes is
/// needed.
pub(super) fn confirm(command: &str, question: &str, otherwise: &str) -> Result<()> {
    if !io::stdin().is_terminal() {
        return Err(Error::usage(format!(
            "{command} asks for confirmation; without a terminal, give --yes"
        )));
    }
    let mut stderr = io::stderr().lock();
    let asked = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
    let mut answer = String::new();
    asked
        .and_then(|()| io::stdin().lock().read_line(&mut answer))
        .map_err(|error| Error::failed(format!("cannot ask: {error}")))?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Error::failed(otherwise)),
    }
}
