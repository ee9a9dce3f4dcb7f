//! HTTP/2 connections: their settings, their age, and their end.

use std::collections::hash_map::RandomState;
use std::future::{Future, pending};
use std::hash::BuildHasher as _;
use std::pin::pin;
use std::time::Duration;

use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;

use super::layer::Stack;
use super::preface::Prefaced;

/// The most bytes of the metadata of a request; the largest token fits easily.
const MAX_HEADER_LIST_BYTES: u32 = 16 * 1024;

/// The largest frame that clients may send. Large frames cost less per byte, but delay other streams of the
/// connection.
const MAX_FRAME_BYTES: u32 = 64 * 1024;

/// The most bytes that may wait to be sent on one stream.
const MAX_SEND_BUFFER_BYTES: usize = 1024 * 1024;

/// A connection's flow-control window, as a multiple of that of a stream. h2 closes a connection when its small unread
/// frames cost half of this window, at up to 256 bytes each; a single stream must run out of its own window first.
const STREAMS_A_WINDOW: u32 = 16;

/// A client that connects without sending its preface is disconnected after this.
const PREFACE_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves connections. Clones share everything.
#[derive(Clone)]
pub(super) struct Connections {
    stack: Stack,
    http2: http2::Builder<Tracked>,
    max_age: Option<Duration>,
    tasks: TaskTracker,
    draining: CancellationToken,
    cancelled: CancellationToken,
}

impl Connections {
    /// Connections that finish when `draining` fires, and are aborted when `cancelled` does. All work for them is in
    /// `tasks`.
    pub(super) fn new(
        stack: Stack,
        config: &Config,
        tasks: TaskTracker,
        draining: CancellationToken,
        cancelled: CancellationToken,
    ) -> Self {
        let window = u32::try_from(config.stream_window_bytes.as_u64())
            .unwrap_or(u32::MAX / STREAMS_A_WINDOW);
        let mut http2 = http2::Builder::new(Tracked(tasks.clone()));
        http2
            .timer(TokioTimer::new())
            .initial_stream_window_size(window)
            // the protocol's limit is 2^31 - 1
            .initial_connection_window_size(
                window.saturating_mul(STREAMS_A_WINDOW).min(i32::MAX as u32),
            )
            .max_concurrent_streams(config.max_concurrent_streams)
            .max_frame_size(MAX_FRAME_BYTES)
            .max_header_list_size(MAX_HEADER_LIST_BYTES)
            .max_send_buf_size(MAX_SEND_BUFFER_BYTES)
            .keep_alive_interval(config.keepalive_interval)
            .keep_alive_timeout(config.keepalive_timeout);
        let max_age = Some(config.max_connection_age).filter(|age| !age.is_zero());
        Self {
            stack,
            http2,
            max_age,
            tasks,
            draining,
            cancelled,
        }
    }

    /// Serves one connection in a task of its own.
    pub(super) fn serve<IO>(&self, io: IO)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let this = self.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = this.cancelled.cancelled() => {}
                () = this.drive(io) => {}
            }
        });
    }

    async fn drive<IO>(&self, io: IO)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (io, preface) = Prefaced::new(io);
        let service = TowerToHyperService::new(self.stack.clone());
        let mut connection = pin!(self.http2.serve_connection(TokioIo::new(io), service));
        tokio::select! {
            biased;
            result = connection.as_mut() => return log_end(result),
            _ = preface => {}
            () = self.draining.cancelled() => return,
            () = sleep(PREFACE_TIMEOUT) => return,
        }
        tokio::select! {
            result = connection.as_mut() => log_end(result),
            () = self.age_or_drain() => {
                // no new requests; those in progress finish
                connection.as_mut().graceful_shutdown();
                log_end(connection.await);
            }
        }
    }

    async fn age_or_drain(&self) {
        let old = async {
            match self.max_age {
                Some(age) => sleep(jittered(age)).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = old => {}
            () = self.draining.cancelled() => {}
        }
    }
}

/// The age, varied by up to a tenth, so that clients that connected together do not reconnect
/// together.
fn jittered(age: Duration) -> Duration {
    let random = RandomState::new().hash_one(0) as f64 / u64::MAX as f64;
    age.mul_f64(0.9 + 0.2 * random)
}

fn log_end(result: hyper::Result<()>) {
    if let Err(error) = result {
        tracing::debug!("connection ended: {error}");
    }
}

/// Runs the work of connections as tasks that the drain waits for.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F> Executor<F> for Tracked
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_vary_by_a_tenth() {
        let age = Duration::from_secs(1000);
        let ages: Vec<_> = (0..100).map(|_| jittered(age)).collect();
        assert!(ages.iter().all(|age| (900..=1100).contains(&age.as_secs())));
        assert!(ages.iter().any(|other| *other != ages[0]));
    }
}
