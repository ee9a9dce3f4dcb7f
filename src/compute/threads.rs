//! The threads of both classes of work. Small work has one pool. Every large work has a pool for itself while it runs, since a
//! pool finishes what it has begun before it takes more: the operating system divides the cores between pools, and gives them
//! to small work first.

use std::sync::{Arc, Mutex, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::queue::Rank;
use crate::error::{Error, Result, reason};

/// How much nicer than the rest of the server an owner's first large work is, and how much its further ones are. To Linux, a
/// first one weighs seven times as much as a further one: an owner that does several things at once gets little more than one
/// that does a single thing, unless nobody else wants it.
const NICER: [i32; 2] = [10, 19];

/// The pools.
#[derive(Debug)]
pub(super) struct Threads {
    small: Arc<ThreadPool>,
    /// Pools for large work that are not in use, for each rank. They are started when they are needed.
    idle: [Mutex<Vec<Arc<ThreadPool>>>; 2],
}

/// A pool for one large work. Dropping it leaves the pool for the next one.
#[derive(Debug)]
pub(super) struct Lease {
    threads: Arc<Threads>,
    pool: Arc<ThreadPool>,
    rank: Rank,
}

impl Threads {
    /// Pools of `n` threads each; 0 for one per core.
    pub(super) fn start(n: usize) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            small: pool(n, "small", |_| ())?,
            idle: Default::default(),
        }))
    }

    /// The number of threads of a pool.
    pub(super) fn n(&self) -> usize {
        self.small.current_num_threads()
    }

    /// The pool for small work.
    pub(super) fn small(&self) -> &ThreadPool {
        &self.small
    }

    /// A pool for one large work of this rank.
    pub(super) fn large(self: &Arc<Self>, rank: Rank) -> Result<Lease> {
        let idle = self.idle(rank).pop();
        let pool = match idle {
            Some(pool) => pool,
            None => pool(self.n(), "large", move |_| {
                priority::lower(NICER[rank as usize])
            })?,
        };
        Ok(Lease {
            threads: Arc::clone(self),
            pool,
            rank,
        })
    }

    fn idle(&self, rank: Rank) -> std::sync::MutexGuard<'_, Vec<Arc<ThreadPool>>> {
        self.idle[rank as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// The pool. Work that holds the lease until it ends is to be spawned on it.
    pub(super) fn pool(&self) -> Arc<ThreadPool> {
        Arc::clone(&self.pool)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let pool = Arc::clone(&self.pool);
        self.threads.idle(self.rank).push(pool);
    }
}

fn pool(
    n: usize,
    name: &'static str,
    at_start: impl Fn(usize) + Send + Sync + 'static,
) -> Result<Arc<ThreadPool>> {
    ThreadPoolBuilder::new()
        .num_threads(n)
        .thread_name(move |index| format!("{name}-{index}"))
        .start_handler(at_start)
        .build()
        .map(Arc::new)
        .map_err(|error| {
            // only what the system says can fail: it refuses threads over a limit, for now
            Error::new(
                reason::OVERLOADED,
                "the system refuses to start more threads for compute (`compute_threads`); try again later",
            )
            .because(error)
        })
}

/// The priorities of threads. Only Linux has one for each thread.
#[cfg(target_os = "linux")]
mod priority {
    /// Makes the calling thread nicer to all others.
    pub(super) fn lower(nicer: i32) {
        // to Linux, "this process" is the calling thread
        if let Err(error) = rustix::process::nice(nicer) {
            tracing::warn!(%error, "large work has the same priority as small work, which may have to wait for it");
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod priority {
    pub(super) fn lower(_: i32) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_used_again_by_work_of_its_rank_once_it_is_free() {
        let threads = Threads::start(1).expect("threads");
        let first = threads.large(Rank::First).expect("threads");
        let other = threads.large(Rank::First).expect("threads");
        assert!(!Arc::ptr_eq(&first.pool(), &other.pool()));
        let pool = first.pool();
        drop(first);
        let further = threads.large(Rank::Further).expect("threads");
        assert!(!Arc::ptr_eq(&further.pool(), &pool));
        let again = threads.large(Rank::First).expect("threads");
        assert!(Arc::ptr_eq(&again.pool(), &pool));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn small_work_comes_before_the_first_large_one_of_an_owner_and_that_before_further_ones() {
        let nice = || rustix::process::getpriority_process(None).expect("the priority");
        let threads = Threads::start(1).expect("threads");
        let large = |rank| {
            let lease = threads.large(rank).expect("threads");
            lease.pool().install(nice)
        };
        let of_test = nice();
        assert_eq!(threads.small().install(nice), of_test);
        assert_eq!(large(Rank::First), (of_test + NICER[0]).min(19));
        assert_eq!(large(Rank::Further), (of_test + NICER[1]).min(19));
    }
}
