//! The open connections and their requests in progress: how many there may be, and who makes room.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use crate::error::{Error, Result, reason};

/// The most requests for health and reflection in progress on one connection. They need no token, and a client has one of
/// each.
const MAX_PUBLIC_ON_CONNECTION: usize = 16;

/// How long a new connection waits for an idle one to make room, which takes an instant.
const ROOM_TIMEOUT: Duration = Duration::from_secs(1);

/// At most one warning about refused connections in this time.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// All open connections.
pub(super) struct OpenConnections {
    max_connections: usize,
    max_requests: usize,
    slots: Mutex<Slots>,
    /// Fires when a connection has ended.
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
    /// When the last request ended, or the connection began.
    idle_since: Instant,
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

    /// The slot of a new connection. If all are taken, an idle connection is ended for it: the one that has waited longest for its
    /// first request, or else the one whose last request ended longest ago. `None` if none is idle.
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
        let connection = Arc::new(OpenConnection {
            id,
            all: Arc::clone(self),
            requests: Mutex::new(Requests {
                n_open: 0,
                n_public: 0,
                was_used: false,
                idle_since: Instant::now(),
            }),
            evicted: CancellationToken::new(),
        });
        slots.taken.insert(id, Arc::clone(&connection));
        Some(Slot(connection))
    }

    /// Ends an idle connection, unless one is being ended already. Returns whether one will end.
    fn evict(&self) -> bool {
        let slots = self.lock();
        let open = slots.taken.values();
        let idle: Vec<_> = open
            .filter_map(|connection| Some((connection.idleness()?, connection)))
            .collect();
        if idle
            .iter()
            .any(|(_, connection)| connection.evicted.is_cancelled())
        {
            return true;
        }
        let first = idle.iter().min_by_key(|(idleness, _)| *idleness);
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
    fn count(&self, is_public: bool) -> &AtomicUsize {
        match is_public {
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
    /// Counts a request that has begun. `is_public` says that it needs no owner.
    pub(super) fn begin(self: &Arc<Self>, is_public: bool) -> InProgress {
        {
            let mut requests = self.lock();
            requests.was_used = true;
            requests.n_open += 1;
            requests.n_public += usize::from(is_public);
        }
        self.all.count(is_public).fetch_add(1, Ordering::Relaxed);
        InProgress {
            connection: Arc::clone(self),
            is_public,
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

    /// What idle connections are ended by, the least first. However many connections come at once, the used ones come last.
    fn idleness(&self) -> Option<(bool, Instant)> {
        let requests = self.lock();
        (requests.n_open == 0).then_some((requests.was_used, requests.idle_since))
    }

    fn lock(&self) -> MutexGuard<'_, Requests> {
        // plain numbers: a panic elsewhere cannot leave them half changed
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in progress, from its arrival to the end of its response.
pub(crate) struct InProgress {
    connection: Arc<OpenConnection>,
    is_public: bool,
}

impl InProgress {
    /// Refuses the request if there are too many in progress with it.
    ///
    /// Public requests are counted apart: their clients need no token, and must not take up the room of those who have one.
    /// And a server at its limit is still healthy, so a probe must pass.
    pub(crate) fn check(&self) -> Result<()> {
        let all = &self.connection.all;
        let n_open = all.count(self.is_public).load(Ordering::Relaxed);
        let overloaded = |message| Err(Error::new(reason::OVERLOADED, message));
        if !self.is_public {
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
        if n_open > all.max_requests.div_ceil(2) {
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
        requests.n_public -= usize::from(self.is_public);
        requests.idle_since = Instant::now();
        drop(requests);
        let count = connection.all.count(self.is_public);
        count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_idle_connection_makes_room_and_first_of_all_one_that_was_never_used() {
        let all = OpenConnections::new(3, 10);
        let first = all.admit().await.expect("room");
        let busy = first.connection().begin(false);
        let second = all.admit().await.expect("room");
        drop(second.connection().begin(true));
        let third = all.admit().await.expect("room");

        let fourth = tokio::spawn({
            let all = Arc::clone(&all);
            async move { all.admit().await }
        });
        third.connection().evicted().await;
        assert!(!second.connection().evicted.is_cancelled());
        drop(third);
        let fourth = fourth.await.expect("no panic").expect("room was made");

        let used = [&second, &fourth].map(|slot| slot.connection().begin(false));
        assert!(all.admit().await.is_none(), "none is idle");
        drop((first, busy, used));
        all.admit().await.expect("room");
    }

    #[tokio::test]
    async fn a_connection_that_does_not_make_room_is_not_waited_for() {
        let all = OpenConnections::new(1, 10);
        let _stuck = all.admit().await.expect("room");
        assert!(all.admit().await.is_none());
    }

    #[tokio::test]
    async fn requests_over_a_limit_are_refused_until_others_end() {
        let all = OpenConnections::new(9, 100);
        let slot = all.admit().await.expect("room");
        let other = all.admit().await.expect("room");
        for (connection, is_public, limit) in [
            (slot.connection(), false, 100),
            (slot.connection(), true, MAX_PUBLIC_ON_CONNECTION),
        ] {
            let mut open: Vec<_> = (0..limit).map(|_| connection.begin(is_public)).collect();
            let one_more = connection.begin(is_public);
            let error = one_more.check().expect_err("too many");
            assert_eq!(error.reason(), reason::OVERLOADED);
            open.pop();
            one_more.check().expect("there is room again");
            let elsewhere = other.connection().begin(!is_public);
            elsewhere.check().expect("is counted apart");
        }
        let slots: Vec<_> = (0..4).map(|_| all.take_slot().expect("room")).collect();
        let watches: Vec<_> = (0..50)
            .map(|n: usize| slots[n % 4].connection().begin(true))
            .collect();
        watches[0].check().expect("half as many as other requests");
        let one_more = other.connection().begin(true);
        one_more.check().expect_err("too many over all connections");
    }

    #[tokio::test]
    async fn a_connection_is_idle_from_the_end_of_its_last_request() {
        let all = OpenConnections::new(1, 10);
        let slot = all.admit().await.expect("room");
        let connection = slot.connection();
        let (soon, never) = (Duration::from_millis(1), Duration::MAX);
        connection.idle_for(soon, never).await;
        let request = connection.begin(false);
        let idle = connection.idle_for(never, soon);
        let in_progress = tokio::time::timeout(Duration::from_millis(50), idle).await;
        assert!(in_progress.is_err(), "a request is in progress");
        drop(request);
        connection.idle_for(never, soon).await;
    }
}
