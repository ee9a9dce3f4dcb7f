use std::io;
use std::sync::mpsc;

use super::*;
use crate::store::layout::Layout;
use crate::store::opening;
use crate::store::quarantine::Quarantine;
use crate::store::state::StoreId;

/// Logs whose flushes wait until they are let go.
struct HeldUp {
    logs: Logs,
    main: CommitterThread,
    begins: mpsc::Receiver<()>,
    go: mpsc::Sender<Result<(), StoreError>>,
    folder: tempfile::TempDir,
}

fn held_up() -> HeldUp {
    let folder = tempfile::tempdir().expect("a folder");
    let main = CommitterThread::start(0, None, || Ok(())).expect("a thread");
    let (begun, begins) = mpsc::channel();
    let (go, may_go) = mpsc::channel();
    let layout = Layout::new(folder.path());
    let heads = opening::create_heads(&layout, StoreId::random()).expect("a database");
    let disposal = Disposal {
        deletions: Arc::default(),
        quarantine: Quarantine::new(layout.quarantine()),
    };
    let (logs, known, main_committer) = (layout.logs(), Vec::new(), main.committer().clone());
    let logs = Logs::start_with(&logs, heads, known, &disposal, main_committer, |shared| {
        move || {
            begun.send(()).expect("the test listens");
            let outcome: Result<(), StoreError> = may_go.recv().expect("the test answers");
            outcome.and_then(|()| shared.flush())
        }
    });
    HeldUp {
        logs: logs.expect("opens"),
        main,
        begins,
        go,
        folder,
    }
}

impl HeldUp {
    /// Makes a change, and calls `look` while it is not durable.
    async fn change<T>(&self, change: impl FnOnce(&Logs) -> Answer<T>, look: impl FnOnce()) -> T {
        let answer = change(&self.logs);
        self.begins.recv().expect("a flush begins");
        look();
        self.go.send(Ok(())).expect("the flush waits");
        let durable = self.logs.committer().durable(answer.number);
        durable.await.expect("durable");
        answer.found.expect("there")
    }

    fn n_read(&self, log: LogName) -> usize {
        let read = self.logs.read(log, 0, 100, 100).expect("readable");
        read.found.expect("there").len()
    }

    fn n_files(&self) -> usize {
        let segments = log_segment::list(&self.folder.path().join("logs"));
        segments.expect("a folder").len()
    }
}

fn entries(n: usize) -> Vec<Bytes> {
    vec![Bytes::from_static(b"x"); n]
}

#[tokio::test]
async fn nothing_is_shown_or_deleted_before_the_change_is_durable() {
    let held = held_up();
    let log = held.change(|logs| logs.create(), || {}).await;
    let append = |logs: &Logs| logs.append(log, &entries(3)).expect("written");
    let unseen = || {
        assert_eq!(held.n_read(log), 0);
        let bounds = held.logs.bounds(log).expect("readable").found;
        assert_eq!(bounds.expect("there").next, 1);
    };
    assert_eq!(held.change(append, unseen).await, [1, 2, 3]);
    assert_eq!(held.n_read(log), 3);

    let trim = |logs: &Logs| logs.trim(log, Retain::From(9)).expect("trimmed");
    let still_there = || {
        assert_eq!(held.n_files(), 1);
        assert_eq!(held.n_read(log), 3);
    };
    held.change(trim, still_there).await;
    assert_eq!((held.n_files(), held.n_read(log)), (0, 0));

    held.change(append, || {}).await;
    let delete = |logs: &Logs| logs.delete(log).expect("deleted");
    let still_there = || {
        assert_eq!(held.n_files(), 1);
        // whoever finds it gone must wait for the deletion
        let read = held.logs.read(log, 0, 1, 1).expect("readable");
        assert!(matches!(read.found, Err(StoreError::LogNotFound)));
        assert!(read.number > 0);
    };
    held.change(delete, still_there).await;
    assert_eq!(held.n_files(), 0);
    let read = held.logs.read(log, 0, 1, 1).expect("readable");
    assert!(matches!(read.found, Err(StoreError::LogNotFound)));
}

#[tokio::test]
async fn a_sync_that_fails_fails_the_whole_store() {
    let held = held_up();
    let failed = held.main.committer().failed();
    let number = held.logs.create().number;
    held.begins.recv().expect("a flush begins");
    let error = StoreError::io("sync")(io::Error::other("disk gone"));
    held.go.send(Err(error)).expect("the flush waits");
    assert!(held.logs.committer().durable(number).await.is_err());
    let why = failed.await.to_string();
    assert!(why.contains("disk gone"), "{why}");
}
