use std::sync::mpsc;
use std::time::Instant;

use super::*;
use crate::store::{Owner, TokenHasher, TokenKey};

const LONG: Duration = Duration::from_secs(3600);

const CLASSES: [Class; 2] = [Class::Small, Class::Large];

pub(super) fn owner(name: &str) -> Owner {
    TokenHasher::new(&TokenKey::from_bytes([1; 32])).owner_of(name.as_bytes())
}

fn caller(name: &str) -> Caller {
    Caller {
        owner: owner(name),
        deadline: None,
    }
}

/// One thread a pool, and one request that may wait.
fn compute() -> Compute {
    Compute::new(1, 1, LONG).expect("threads")
}

/// Work that holds a permit and a thread until it is told to end.
async fn held(compute: &Compute, name: &str, class: Class) -> (mpsc::Sender<()>, Running<()>) {
    let (release, held) = mpsc::channel();
    let work = move |_: &Context| {
        held.recv().ok();
        Ok(())
    };
    let running = compute.submit(caller(name), class, Admission::Refuse, work);
    (release, running.await.expect("there is a permit"))
}

/// Work of one owner that holds all permits which one owner may have.
async fn held_by_one(
    compute: &Compute,
    name: &str,
    class: Class,
) -> Vec<(mpsc::Sender<()>, Running<()>)> {
    let n = match class {
        Class::Small => 2,
        Class::Large => 1 + LARGE_FURTHER,
    };
    let mut all = Vec::new();
    for _ in 0..n {
        all.push(held(compute, name, class).await);
    }
    all
}

#[tokio::test]
async fn small_work_and_other_owners_go_on_while_one_owner_has_all_large_work_it_may_have() {
    let compute = compute();
    let large = held_by_one(&compute, "a", Class::Large).await;
    for name in ["a", "b"] {
        let small = compute.run(caller(name), Class::Small, Admission::Refuse, |_| Ok(1));
        assert_eq!(small.await.expect("it is done"), 1);
    }
    let other = compute.run(caller("b"), Class::Large, Admission::Refuse, |_| Ok(2));
    assert_eq!(other.await.expect("it is done"), 2);
    for (release, running) in large {
        release.send(()).expect("it waits");
        running.await.expect("done");
    }
}

#[tokio::test]
async fn requests_wait_for_a_permit_and_are_refused_when_too_many_do() {
    for class in CLASSES {
        let compute = compute();
        let all = held_by_one(&compute, "a", class).await;
        let wait = |admission, answer: u8| {
            let compute = compute.clone();
            tokio::spawn(async move {
                let work = move |_: &Context| Ok(answer);
                compute.run(caller("a"), class, admission, work).await
            })
        };
        let waiting = [wait(Admission::Refuse, 1), wait(Admission::Wait, 2)];
        tokio::task::yield_now().await;
        let refused = compute.run(caller("a"), class, Admission::Refuse, |_| Ok(3));
        let refused = refused.await.expect_err("one waits already");
        assert_eq!(refused.reason(), reason::OVERLOADED);
        for (release, running) in all {
            release.send(()).expect("it waits");
            running.await.expect("done");
        }
        for (answer, waiting) in [1, 2].into_iter().zip(waiting) {
            assert_eq!(waiting.await.expect("joined").expect("done"), answer);
        }
    }
}

#[tokio::test]
async fn little_work_needs_neither_a_permit_nor_a_thread_of_a_pool() {
    let compute = compute();
    let all = held_by_one(&compute, "a", Class::Small).await;
    let here = Compute::do_here(caller("a"), |_| Ok(std::thread::current().id()));
    let here = here.await.expect("done");
    assert_eq!(here, std::thread::current().id());
    let panicked: Running<()> = Compute::do_here(caller("a"), |_| panic!("on purpose"));
    let panicked = panicked.await.expect_err("it panicked");
    assert_eq!(panicked.reason(), reason::INTERNAL);
    for (release, running) in all {
        release.send(()).expect("it waits");
        running.await.expect("done");
    }
}

#[tokio::test]
async fn work_stops_when_its_caller_leaves_or_its_deadline_passes() {
    for class in CLASSES {
        let compute = compute();
        let (start, started) = mpsc::channel();
        let (report, reported) = mpsc::channel();
        let work = move |context: &Context| {
            start.send(()).ok();
            while context.check().is_ok() {
                std::thread::sleep(Duration::from_millis(1));
            }
            let ended = context.check().expect_err("ended");
            report.send(ended.reason()).ok();
            Ok(())
        };
        let running = compute.submit(caller("a"), class, Admission::Refuse, work);
        let running = running.await.expect("there is a permit");
        started.recv().expect("starts");
        drop(running);
        assert_eq!(reported.recv().expect("stopped"), reason::CANCELLED);

        let passed = Caller {
            deadline: Some(Instant::now()),
            ..caller("a")
        };
        let late = compute.run(passed, class, Admission::Refuse, |_| Ok(()));
        let late = late.await.expect_err("too late");
        assert_eq!(late.reason(), reason::DEADLINE_EXCEEDED);
    }
}

#[tokio::test]
async fn a_caller_who_leaves_while_waiting_gives_up_the_place() {
    let compute = compute();
    let mut all = held_by_one(&compute, "a", Class::Large).await;
    let wait = |answer: u8| {
        let compute = compute.clone();
        tokio::spawn(async move {
            let work = move |_: &Context| Ok(answer);
            let done = compute.run(caller("a"), Class::Large, Admission::Refuse, work);
            done.await
        })
    };
    let leaves = wait(1);
    tokio::task::yield_now().await;
    leaves.abort();
    assert!(leaves.await.is_err(), "it was waiting");
    let stays = wait(2);
    tokio::task::yield_now().await;
    let (release, running) = all.pop().expect("several");
    release.send(()).expect("it waits");
    running.await.expect("done");
    assert_eq!(stays.await.expect("joined").expect("done"), 2);
    // the others end, too: nobody holds them any more
}

#[tokio::test]
async fn a_panic_is_an_error_and_gives_its_permit_back() {
    for class in CLASSES {
        let compute = compute();
        for _ in 0..10 {
            let panics =
                compute.run::<(), _>(caller("a"), class, Admission::Refuse, |_| panic!("boom"));
            let error = panics.await.expect_err("panics");
            assert_eq!(error.reason(), reason::INTERNAL);
        }
        let all = held_by_one(&compute, "a", class).await;
        assert!(!all.is_empty(), "all permits are there");
    }
}
