//! Child processes: this binary again, running the test that starts it. Such a test first checks whether it is the child.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const FOLDER: &str = "STORE_TEST_FOLDER";

/// A command that runs the test `name` as a child on a folder. `shell` runs first, and may limit the process.
pub(crate) fn command(name: &str, folder: &std::path::Path, shell: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("{shell} exec \"$0\" \"$@\""))
        .arg(std::env::current_exe().expect("this binary"))
        .args(["--exact", name, "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped());
    command
}

/// The folder to work on, in the child; `None` in the parent.
pub(crate) fn folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// In the child: sends a line to the parent.
pub(crate) fn send_line(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n@{line}\n").as_bytes())
        .and_then(|()| out.flush())
        .expect("the parent listens");
}

/// In the parent: the lines that the child sent.
pub(crate) fn received_lines(output: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(output)
        .lines()
        .filter_map(|line| line.strip_prefix('@'))
        .map(str::to_owned)
        .collect()
}
