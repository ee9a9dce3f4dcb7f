//! Deletes files that nothing refers to any more, but not while somebody copies or checks the store: what they have seen a
//! record refer to stays until they are done.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::files;
use super::quarantine::Quarantine;

/// Where files go that are no longer part of the store.
#[derive(Debug, Clone)]
pub(super) struct Disposal {
    /// For what was deleted.
    pub(super) deletions: Arc<Deletions>,
    /// For what nothing refers to.
    pub(super) quarantine: Quarantine,
}

/// Deletes files, or notes them while deletions are held up.
#[derive(Debug, Default)]
pub(super) struct Deletions(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    n_holds: usize,
    waiting: Vec<PathBuf>,
}

impl Deletions {
    /// Deletes a file, if it exists, now or when nothing holds deletions up. A crash before that leaves it to the sweep.
    pub(super) fn delete(&self, path: PathBuf) -> io::Result<()> {
        let mut held = self.lock();
        if held.n_holds > 0 {
            held.waiting.push(path);
            return Ok(());
        }
        drop(held);
        files::remove_if_exists(&path).map(|_| ())
    }

    /// Holds up deletions until the answer is dropped.
    pub(super) fn hold(self: &Arc<Self>) -> Hold {
        self.lock().n_holds += 1;
        Hold(Arc::clone(self))
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // each change is a single assignment
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Holds up deletions.
#[derive(Debug)]
pub(super) struct Hold(Arc<Deletions>);

impl Drop for Hold {
    fn drop(&mut self) {
        let waiting = {
            let mut held = self.0.lock();
            held.n_holds -= 1;
            match held.n_holds {
                0 => std::mem::take(&mut held.waiting),
                _ => return,
            }
        };
        for path in waiting {
            if let Err(error) = files::remove_if_exists(&path) {
                tracing::warn!(%error, path = %path.display(), "a file that is no longer needed cannot be deleted");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_while_anybody_holds_deletions_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, name).expect("writable");
            path
        };
        let (early, late) = (file("early"), file("late"));
        let deletions = Arc::new(Deletions::default());
        deletions.delete(early.clone()).expect("deleted");
        assert!(!early.exists());
        let (one, two) = (deletions.hold(), deletions.hold());
        deletions.delete(late.clone()).expect("noted");
        drop(one);
        assert!(late.exists());
        drop(two);
        assert!(!late.exists());
        deletions.delete(late).expect("a missing file is no error");
    }
}
