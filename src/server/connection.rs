//! HTTP/2 connections: their settings, their age, and their end.

use std::collections::hash_map::RandomState;
use std::future::{Future, pending};
use std::hash::BuildHasher as _;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::config::Config;

use super::layer::Stack;
use super::open_connections::{Kind, OpenConnection, OpenConnections, Slot};
use super::preface::{self, Opened, Rewound};
use super::stall::Watched;
use super::{descriptors, http1};

/// The most bytes of metadata that h2 reads. It is far over our own limit, because h2 answers what is longer with a bare HTTP
/// status, and ends the connection of a client that sends four times as much.
const MAX_HEADER_LIST_BYTES: u32 = 256 * 1024;

/// The largest frame that clients may send. Large frames cost less per byte, but delay other streams of the
/// connection.
const MAX_FRAME_BYTES: u32 = 64 * 1024;

/// The most bytes that may wait to be sent on one stream.
const MAX_SEND_BUFFER_BYTES: usize = 1024 * 1024;

/// A connection's flow-control window, as a multiple of that of a stream. h2 closes a connection when its small unread
/// frames cost half of this window, at up to 256 bytes each; a single stream must run out of its own window first.
const STREAMS_A_WINDOW: u32 = 16;

/// How long a connection that makes room for another must not have been needed.
const EVICTED_IDLE: Duration = Duration::from_millis(10);

/// How long its client has to answer if it had used it: a request of it may be under way.
const EVICTED_ANSWER: Duration = Duration::from_millis(100);

/// Serves connections. Clones share everything.
#[derive(Clone)]
pub(super) struct Connections {
    stack: Stack,
    http2: http2::Builder<Tracked>,
    open: Arc<OpenConnections>,
    lifetimes: Lifetimes,
    tasks: TaskTracker,
    draining: CancellationToken,
    cancelled: CancellationToken,
}

/// How long connections may last.
#[derive(Clone, Copy)]
struct Lifetimes {
    /// Without their first request.
    arrival: Duration,
    /// Without a request in progress, after the first.
    idle: Duration,
    /// In all.
    age: Option<Duration>,
    /// After they were asked to close, without a request in progress.
    close: Duration,
}

impl Lifetimes {
    fn new(config: &Config) -> Self {
        let max_idle = Some(config.max_connection_idle).filter(|idle| !idle.is_zero());
        Self {
            arrival: config.arrival_timeout,
            idle: max_idle.unwrap_or(Duration::MAX),
            age: Some(config.max_connection_age).filter(|age| !age.is_zero()),
            close: config.keepalive_timeout,
        }
    }
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
        let mut http2 = http2::Builder::new(Tracked {
            tasks: tasks.clone(),
            patience: config.answer_stall_timeout,
        });
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
        let max_connections = descriptors::connections(config.max_connections);
        Self {
            stack,
            http2,
            open: OpenConnections::new(max_connections, config.max_total_streams),
            lifetimes: Lifetimes::new(config),
            tasks,
            draining,
            cancelled,
        }
    }

    /// Serves one connection in a task of its own, or closes it if there are too many.
    pub(super) async fn serve<IO>(&self, io: IO)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Some(slot) = self.open.admit().await else {
            return;
        };
        let this = self.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = this.cancelled.cancelled() => {}
                () = this.drive(io, slot) => {}
            }
        });
    }

    async fn drive<IO>(&self, io: IO, slot: Slot)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let usage = slot.connection();
        let opening = timeout(self.lifetimes.arrival, open(io));
        let opened = tokio::select! {
            opened = opening => opened.unwrap_or_default(),
            () = self.draining.cancelled() => None,
            () = usage.evicted() => None,
        };
        if let Some(io) = opened {
            self.serve_http2(io, usage).await;
        }
    }

    async fn serve_http2<IO>(&self, io: Rewound<IO>, usage: &Arc<OpenConnection>)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Lifetimes {
            arrival,
            idle,
            close,
            ..
        } = self.lifetimes;
        let service = service_fn(|mut request: Request<Incoming>| {
            let in_progress = usage.begin(Kind::of(&request));
            request.extensions_mut().insert(Arc::new(in_progress));
            self.stack.clone().oneshot(request)
        });
        let mut connection = pin!(self.http2.serve_connection(TokioIo::new(io), service));
        tokio::select! {
            result = connection.as_mut() => return log_end(result),
            () = self.age_or_drain() => {}
            () = usage.idle_for(arrival, idle) => {}
            () = usage.evicted() => {}
        }
        // no new requests; those in progress finish
        connection.as_mut().graceful_shutdown();
        let unanswered = async {
            sleep(close).await;
            usage.idle_for(close, close).await;
        };
        let evicted = async {
            usage.evicted().await;
            if usage.was_used() {
                sleep(EVICTED_ANSWER).await;
            }
            usage.unneeded_for(EVICTED_IDLE).await;
        };
        tokio::select! {
            // first, so that the client is told
            biased;
            result = connection => log_end(result),
            () = unanswered => tracing::debug!("connection ended: its client was told to close it and did not"),
            () = evicted => tracing::debug!("connection ended: it made room for another"),
        }
    }

    async fn age_or_drain(&self) {
        let old = async {
            match self.lifetimes.age {
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

/// Reads what tells the protocol of a connection. `None` once it is over: other protocols than HTTP/2 are answered and refused
/// here.
async fn open<IO>(io: IO) -> Option<Rewound<IO>>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    match preface::read(io).await {
        Ok(Opened::Http2(io)) => return Some(io),
        Ok(Opened::Other(io)) => http1::refuse(io).await,
        Err(error) => tracing::debug!("connection ended: {error}"),
    }
    None
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

/// Runs the work for streams as tasks that the drain waits for, and that end when nobody reads the answer.
#[derive(Clone)]
struct Tracked {
    tasks: TaskTracker,
    /// How long a part of an answer may wait to be read.
    patience: Duration,
}

impl<F> Executor<F> for Tracked
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.tasks.spawn(Watched::new(future, self.patience));
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
