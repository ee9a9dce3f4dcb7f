//! The open connections and their requests in progress: how many there may be, and who makes room.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Request;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use super::methods::method;
use crate::error::{Error, Result, reason};

/// The most requests for health and reflection in progress on one connection. They need no token, and a client has one of
/// each.
const MAX_PUBLIC_ON_CONNECTION: usize = 16;

/// How long a new connection waits for an idle one to make room, which takes an instant.
const ROOM_TIMEOUT: Duration = Duration::from_secs(1);

/// How long after its last request a connection of an owner is not idle yet: its client may be between two requests.
const BETWEEN_REQUESTS: Duration = Duration::from_secs(1);

/// At most one warning about refused connections in this time.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// All open connections.
pub(super) struct OpenConnections {
    max_connections: usize,
    max_requests: usize,
    slots: Mutex<Slots>,
    /// Fires when a connection has ended, or does not end because it is needed again.
    freed: Notify,
    n_owned: AtomicUsize,
    n_public: AtomicUsize,
}

#[derive(Default)]
struct Slots {
    next_id: u64,
    taken: HashMap<u64, Arc<OpenConnection>>,
    warned: Option<Instant>,
}

/// One open connection.
pub(crate) struct OpenConnection {
    id: u64,
    all: Arc<OpenConnections>,
    requests: Mutex<Requests>,
    /// Fires when the connection must make room for another.
    evicted: CancellationToken,
}

/// The requests of one connection.
struct Requests {
    n_open: usize,
    n_public: usize,
    /// Whether there was a request at all.
    was_used: bool,
    /// Whether there was a request with an owner.
    has_owner: bool,
    /// When the last request ended, or the connection began.
    idle_since: Instant,
    /// When the connection was last needed, or began.
    needed_until: Instant,
}

impl Requests {
    /// Whether the connection cannot make room. Public requests alone are no reason: without a token, anyone can keep them open for
    /// ever. With an owner they are, since their client watches the health of the server that it uses.
    fn is_needed(&self) -> bool {
        match self.has_owner {
            true => self.n_open > 0,
            false => self.n_open > self.n_public,
        }
    }
}

/// What a request counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One that needs an owner, which it may turn out not to have.
    Owned,
    /// One for health or reflection that is answered at once.
    Public,
    /// One for health or reflection that may last for ever.
    PublicStream,
}

impl Kind {
    /// That of a request.
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        match method(request.uri().path()).filter(|method| method.is_public()) {
            None => Self::Owned,
            Some(method) if method.gives_stream => Self::PublicStream,
            Some(_) => Self::Public,
        }
    }

    fn is_public(self) -> bool {
        self != Self::Owned
    }
}

impl OpenConnections {
    /// At most `max_connections` at once, with at most `max_requests` in progress over all of them.
    pub(super) fn new(max_connections: usize, max_requests: usize) -> Arc<Self> {
        Arc::new(Self {
            max_connections,
            max_requests,
            slots: Mutex::default(),
            freed: Notify::new(),
            n_owned: AtomicUsize::new(0),
            n_public: AtomicUsize::new(0),
        })
    }

    /// The slot of a new connection. If all are taken, an idle connection is ended for it: the oldest without a request of an owner,
    /// or else the one whose last request ended longest ago. `None` if none is idle.
    ///
    /// Clients that are refused should be disconnected at once, before any frame of HTTP/2. gRPC takes that for a failed
    /// attempt to connect: it fails the calls that wait for it with UNAVAILABLE, tries other addresses, and waits longer before
    /// each new attempt. After a GOAWAY it would connect again at once, and if it were not accepted, wait for its whole timeout.
    pub(super) async fn admit(self: &Arc<Self>) -> Option<Slot> {
        let deadline = Instant::now() + ROOM_TIMEOUT;
        loop {
            let freed = self.freed.notified();
            if let Some(slot) = self.take_slot() {
                return Some(slot);
            }
            if !self.evict() || timeout_at(deadline, freed).await.is_err() {
                self.warn();
                return None;
            }
        }
    }

    fn take_slot(self: &Arc<Self>) -> Option<Slot> {
        let mut slots = self.lock();
        if slots.taken.len() >= self.max_connections {
            return None;
        }
        let id = slots.next_id;
        slots.next_id += 1;
        let now = Instant::now();
        let connection = Arc::new(OpenConnection {
            id,
            all: Arc::clone(self),
            requests: Mutex::new(Requests {
                n_open: 0,
                n_public: 0,
                was_used: false,
                has_owner: false,
                idle_since: now,
                needed_until: now,
            }),
            evicted: CancellationToken::new(),
        });
        slots.taken.insert(id, Arc::clone(&connection));
        Some(Slot(connection))
    }

    /// Ends an idle connection, unless one is being ended already. Returns whether one will end.
    fn evict(&self) -> bool {
        let slots = self.lock();
        let mut open = slots.taken.values();
        if open.any(|connection| connection.is_ending()) {
            return true;
        }
        let open = slots.taken.values();
        let idle = open.filter_map(|connection| Some((connection.idleness()?, connection)));
        let first = idle.min_by_key(|(idleness, _)| *idleness);
        first.is_some_and(|(_, connection)| {
            connection.evicted.cancel();
            true
        })
    }

    fn warn(&self) {
        let now = Instant::now();
        let mut slots = self.lock();
        if slots
            .warned
            .is_none_or(|last| now - last >= WARNING_INTERVAL)
        {
            slots.warned = Some(now);
            tracing::warn!(
                "refusing connections: all {} that are served at once (`max_connections`) are in use",
                self.max_connections
            );
        }
    }

    /// The requests in progress of one kind.
    fn count(&self, kind: Kind) -> &AtomicUsize {
        match kind.is_public() {
            true => &self.n_public,
            false => &self.n_owned,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        // each change is one insertion or removal
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a connection among those that are open. Dropping it frees the place.
pub(super) struct Slot(Arc<OpenConnection>);

impl Slot {
    /// The connection.
    pub(super) fn connection(&self) -> &Arc<OpenConnection> {
        &self.0
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Self(connection) = self;
        connection.all.lock().taken.remove(&connection.id);
        connection.all.freed.notify_waiters();
    }
}

impl OpenConnection {
    /// Counts a request that has begun.
    pub(super) fn begin(self: &Arc<Self>, kind: Kind) -> InProgress {
        let is_needed = {
            let mut requests = self.lock();
            requests.was_used = true;
            requests.n_open += 1;
            requests.n_public += usize::from(kind.is_public());
            requests.is_needed()
        };
        if is_needed && self.evicted.is_cancelled() {
            // who waits for its place must look for another
            self.all.freed.notify_waiters();
        }
        self.all.count(kind).fetch_add(1, Ordering::Relaxed);
        InProgress {
            connection: Arc::clone(self),
            kind,
        }
    }

    /// Waits until no request has been in progress for `later`, or for `first` if there has never been one.
    pub(super) async fn idle_for(&self, first: Duration, later: Duration) {
        loop {
            let rest = {
                let requests = self.lock();
                let limit = if requests.was_used { later } else { first };
                match requests.n_open {
                    0 => limit.saturating_sub(requests.idle_since.elapsed()),
                    _ => limit,
                }
            };
            if rest.is_zero() {
                return;
            }
            sleep(rest).await;
        }
    }

    /// Waits until the connection must make room for another.
    pub(super) fn evicted(&self) -> WaitForCancellationFuture<'_> {
        self.evicted.cancelled()
    }

    /// Whether there was a request at all.
    pub(super) fn was_used(&self) -> bool {
        self.lock().was_used
    }

    /// Waits until the connection has not been needed for `time`.
    pub(super) async fn unneeded_for(&self, time: Duration) {
        loop {
            let rest = {
                let requests = self.lock();
                match requests.is_needed() {
                    true => time,
                    false => time.saturating_sub(requests.needed_until.elapsed()),
                }
            };
            if rest.is_zero() {
                return;
            }
            sleep(rest).await;
        }
    }

    /// Whether the connection is making room for another.
    fn is_ending(&self) -> bool {
        self.evicted.is_cancelled() && !self.lock().is_needed()
    }

    /// What idle connections are ended by, the least first. However many connections come at once, those of owners come last. Among
    /// the others nothing that they send makes them come later.
    fn idleness(&self) -> Option<(bool, Instant)> {
        let requests = self.lock();
        let is_idle = !requests.is_needed()
            && (!requests.has_owner || requests.needed_until.elapsed() >= BETWEEN_REQUESTS);
        is_idle.then_some((requests.has_owner, requests.needed_until))
    }

    fn lock(&self) -> MutexGuard<'_, Requests> {
        // plain numbers: a panic elsewhere cannot leave them half changed
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in progress, from its arrival to the end of its response, or of its handler if that lasts longer.
pub(crate) struct InProgress {
    connection: Arc<OpenConnection>,
    kind: Kind,
}

impl InProgress {
    /// Notes that the request has an owner.
    pub(crate) fn has_owner(&self) {
        self.connection.lock().has_owner = true;
    }

    /// Refuses the request if there are too many in progress with it.
    ///
    /// Public requests are counted apart: their clients need no token, and must not take up the room of those who have one.
    /// And a server at its limit is still healthy, so a probe must pass, also when others watch the health for ever.
    pub(crate) fn check(&self) -> Result<()> {
        let all = &self.connection.all;
        let n_open = all.count(self.kind).load(Ordering::Relaxed);
        let overloaded = |message| Err(Error::new(reason::OVERLOADED, message));
        if self.kind == Kind::Owned {
            if n_open > all.max_requests {
                return overloaded(format!(
                    "the server has {} requests in progress, as many as it takes at once (`max_total_streams`); try again later",
                    all.max_requests
                ));
            }
            return Ok(());
        }
        if self.connection.lock().n_public > MAX_PUBLIC_ON_CONNECTION {
            return overloaded(format!(
                "{MAX_PUBLIC_ON_CONNECTION} requests for health and reflection are in progress on this connection, as many as are taken at once; end some of them"
            ));
        }
        let max_public = match self.kind {
            Kind::PublicStream => all.max_requests.div_ceil(2),
            _ => all.max_requests,
        };
        if n_open > max_public {
            return overloaded(
                "too many requests for health and reflection are in progress; try again later"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        let connection = &self.connection;
        let mut requests = connection.lock();
        requests.n_open -= 1;
        requests.n_public -= usize::from(self.kind.is_public());
        requests.idle_since = Instant::now();
        if requests.has_owner {
            requests.needed_until = requests.idle_since;
        }
        drop(requests);
        let count = connection.all.count(self.kind);
        count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
