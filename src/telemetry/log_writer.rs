//! Writes log lines on a thread of its own, so that an output that fails, or that nobody reads, costs lines but never holds up
//! or ends the server.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

/// How many lines may wait to be written.
const MAX_WAITING: usize = 4096;

/// How long [`LogWriter::flush`] waits.
const PATIENCE: Duration = Duration::from_secs(1);

/// The least time between two reports of lost lines, which would else take the place of lines themselves.
const BETWEEN_REPORTS: Duration = Duration::from_secs(1);

/// Where the logs write their lines, each in one call. Cheap to clone; clones share one thread.
#[derive(Debug, Clone)]
pub(super) struct LogWriter {
    waiting: SyncSender<Message>,
    /// How many lines were lost since the start.
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    /// To be told once all lines before it are written or lost.
    Flush(SyncSender<()>),
}

impl LogWriter {
    /// Starts the thread that writes to an output. It ends when all clones are dropped, and is not waited for.
    pub(super) fn start(output: impl Write + Send + 'static) -> io::Result<Self> {
        let (waiting, received) = mpsc::sync_channel(MAX_WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&lost);
        thread::Builder::new()
            .name("logs".to_owned())
            .spawn(move || write_lines(output, &received, &counter))?;
        Ok(Self { waiting, lost })
    }

    /// Waits until the lines before are written; not for long, if nobody reads them.
    pub(super) fn flush(&self) {
        let (done, is_done) = mpsc::sync_channel(1);
        // a full queue is that of an output that nobody reads
        if self.waiting.try_send(Message::Flush(done)).is_ok() {
            is_done.recv_timeout(PATIENCE).ok();
        }
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.waiting.try_send(Message::Line(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_lines(mut output: impl Write, received: &Receiver<Message>, lost: &AtomicU64) {
    let mut n_reported = 0;
    let mut reported_at = Instant::now();
    let mut output_works = true;
    loop {
        match received.recv_timeout(BETWEEN_REPORTS) {
            Ok(Message::Line(line)) => {
                output_works = output.write_all(&line).is_ok();
                if !output_works {
                    lost.fetch_add(1, Ordering::Relaxed);
                }
            }
            // whoever asked has stopped waiting
            Ok(Message::Flush(done)) => drop(done.try_send(())),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let n_lines = lost.load(Ordering::Relaxed);
        if n_lines > n_reported && output_works && reported_at.elapsed() >= BETWEEN_REPORTS {
            n_reported = n_lines;
            reported_at = Instant::now();
            // this thread writes it, too, once it is its turn; where the queue is full, it is one more to report
            tracing::warn!(
                n_lines,
                "log lines were lost since the start: their output failed or was not read"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Sender;

    use super::*;

    /// Hands over each line, and takes the next one only after it is told whether that was written.
    struct Slow {
        lines: Sender<Vec<u8>>,
        outcomes: Receiver<io::Result<()>>,
    }

    impl Write for Slow {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.lines.send(line.to_vec()).map_err(io::Error::other)?;
            let outcome = self.outcomes.recv();
            outcome.map_err(io::Error::other)?.map(|()| line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A writer to such an output, the lines that it hands over, and where to send their outcomes.
    fn slow() -> (LogWriter, Receiver<Vec<u8>>, Sender<io::Result<()>>) {
        let (lines, written) = mpsc::channel();
        let (outcome, outcomes) = mpsc::channel();
        let writer = LogWriter::start(Slow { lines, outcomes });
        (writer.expect("a thread"), written, outcome)
    }

    #[test]
    fn lines_are_lost_when_the_output_fails_or_is_slow_and_nobody_waits() {
        let (mut writer, written, outcome) = slow();
        writer.write_all(b"first").expect("never fails");
        assert_eq!(written.recv().expect("written"), b"first");
        // the output holds the first line, and takes no other
        for _ in 0..MAX_WAITING + 7 {
            writer.write_all(b"more").expect("never fails");
        }
        assert_eq!(writer.lost.load(Ordering::Relaxed), 7);
        writer.flush();

        outcome
            .send(Err(io::ErrorKind::BrokenPipe.into()))
            .expect("it waits");
        assert_eq!(written.recv().expect("the thread goes on"), b"more");
        assert_eq!(writer.lost.load(Ordering::Relaxed), 8);
        outcome.send(Ok(())).expect("it waits");
        assert_eq!(written.recv().expect("the thread goes on"), b"more");
        // whether they are reported, a test of the program shows
        assert_eq!(writer.lost.load(Ordering::Relaxed), 8);
    }

    #[test]
    fn a_flush_waits_for_the_lines_before_it() {
        let (mut writer, written, outcome) = slow();
        for _ in 0..3 {
            outcome.send(Ok(())).expect("it will wait");
            writer.write_all(b"line").expect("never fails");
        }
        writer.flush();
        assert_eq!(written.try_iter().count(), 3);
    }
}
