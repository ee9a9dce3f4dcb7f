//! The file descriptors that the process may have open, and how many of them connections may take.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is asked for if the system has no limit of its own.
const PLENTY: u64 = 1 << 20;

/// Raises the number of files that the process may have open as far as the system allows.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let highest = limit.maximum.unwrap_or(PLENTY);
    if limit.current.is_none_or(|current| current >= highest) {
        return;
    }
    let raised = Rlimit {
        current: Some(highest),
        ..limit
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => tracing::debug!(limit = highest, "raised the limit of open files"),
        Err(error) => tracing::warn!("cannot raise the limit of open files: {error}"),
    }
}

/// How many connections are served at once: `max_connections`, but no more than half of the files that the process may have
/// open. The store needs the other half: a write that cannot open its file fails.
pub(super) fn connections(max_connections: usize) -> usize {
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return max_connections;
    };
    let half = half(limit);
    if half < max_connections {
        tracing::warn!(
            "at most {half} connections are served at once: the process may have {limit} files open, and half of them are kept for the store; raise that limit (`ulimit -n`) to get the {max_connections} of `max_connections`"
        );
    }
    half.min(max_connections)
}

fn half(limit: u64) -> usize {
    usize::try_from(limit / 2).unwrap_or(usize::MAX).max(1)
}
