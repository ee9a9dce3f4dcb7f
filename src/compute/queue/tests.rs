use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::compute::tests::owner;

const LONG: Duration = Duration::from_secs(3600);

type Asked = Pin<Box<dyn Future<Output = Result<Permit>>>>;

fn queue(first: usize, further: usize, places: usize) -> Arc<Queue> {
    let capacity = Capacity {
        first,
        further,
        places,
    };
    Queue::new(capacity, LONG)
}

/// Asks for a permit, so that the place in the line is taken.
fn ask(queue: &Arc<Queue>, name: &str, admission: Admission) -> Asked {
    let (queue, owner) = (Arc::clone(queue), owner(name));
    let mut asked: Asked = Box::pin(async move { queue.permit(owner, admission).await });
    if let Poll::Ready(answer) = poll(&mut asked) {
        return Box::pin(std::future::ready(answer));
    }
    asked
}

fn poll(asked: &mut Asked) -> Poll<Result<Permit>> {
    asked.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

fn granted(mut asked: Asked) -> Permit {
    match poll(&mut asked) {
        Poll::Ready(Ok(permit)) => permit,
        other => panic!("no permit: {other:?}"),
    }
}

fn is_refused(asked: &mut Asked) -> bool {
    match poll(asked) {
        Poll::Pending => false,
        Poll::Ready(answer) => answer.expect_err("no permit").reason() == reason::OVERLOADED,
    }
}

#[tokio::test]
async fn owners_take_turns_whatever_one_of_them_asks_for() {
    let queue = queue(1, 0, 10);
    let mut held = granted(ask(&queue, "x", Admission::Refuse));
    let names = ["a", "a", "a", "b", "b", "c"];
    let mut waiting: Vec<_> = names
        .iter()
        .map(|name| (*name, ask(&queue, name, Admission::Refuse)))
        .collect();
    let mut order = Vec::new();
    while !waiting.is_empty() {
        drop(held);
        let next = waiting
            .iter_mut()
            .enumerate()
            .find_map(|(index, (_, asked))| match poll(asked) {
                Poll::Ready(permit) => Some((index, permit.expect("a permit"))),
                Poll::Pending => None,
            });
        let (index, permit) = next.expect("the permit that was given back");
        order.push(waiting.remove(index).0);
        held = permit;
    }
    assert_eq!(order, ["a", "b", "c", "a", "b", "a"]);
}

#[tokio::test]
async fn an_owner_with_many_permits_leaves_others_their_first() {
    let queue = queue(2, 2, 10);
    let mut held: Vec<_> = (0..3)
        .map(|_| granted(ask(&queue, "a", Admission::Refuse)))
        .collect();
    let ranks: Vec<_> = held.iter().map(Permit::rank).collect();
    assert_eq!(ranks, [Rank::First, Rank::Further, Rank::Further]);
    let mut more = ask(&queue, "a", Admission::Refuse);
    let b = granted(ask(&queue, "b", Admission::Refuse));
    assert_eq!(b.rank(), Rank::First);

    // who has none comes before who has some, in any rank that is free
    let mut b_more = ask(&queue, "b", Admission::Refuse);
    let c = ask(&queue, "c", Admission::Refuse);
    held.pop();
    let c = granted(c);
    assert_eq!(c.rank(), Rank::Further);
    assert!(poll(&mut more).is_pending() && poll(&mut b_more).is_pending());

    // the first permit of an owner is free for its next request
    held.remove(0);
    assert_eq!(granted(more).rank(), Rank::First);
    drop(c);
    assert_eq!(granted(b_more).rank(), Rank::Further);
}

#[tokio::test]
async fn who_comes_when_too_many_wait_is_refused_at_once_or_takes_the_place_of_another_owner() {
    let queue = queue(1, 0, 2);
    let held = granted(ask(&queue, "x", Admission::Refuse));
    let mut a = [0, 1].map(|_| ask(&queue, "a", Admission::Refuse));
    assert!(is_refused(&mut ask(&queue, "a", Admission::Refuse)));
    let mut stream = ask(&queue, "a", Admission::Wait);
    assert!(poll(&mut stream).is_pending(), "streams wait");

    let mut b = ask(&queue, "b", Admission::Refuse);
    assert!(is_refused(&mut a[1]), "the newest of the longest line");
    assert!(is_refused(&mut ask(&queue, "b", Admission::Refuse)));
    assert!(poll(&mut a[0]).is_pending() && poll(&mut b).is_pending());
    drop(held);
    let [first, _] = a;
    drop(granted(first));
    drop(granted(b));
    drop(granted(stream));
    assert!(queue.lock().lines.is_empty());
    assert_eq!(queue.lock().n_refusable, 0);
}

#[tokio::test]
async fn who_leaves_gives_up_the_place_and_a_permit_that_was_not_received() {
    let queue = queue(1, 0, 1);
    let held = granted(ask(&queue, "x", Admission::Refuse));
    let left = ask(&queue, "a", Admission::Refuse);
    drop(left);
    let unreceived = ask(&queue, "a", Admission::Refuse);
    drop(held);
    let mut waiting = ask(&queue, "b", Admission::Refuse);
    assert!(poll(&mut waiting).is_pending());
    drop(unreceived);
    drop(granted(waiting));
    assert!(queue.lock().lines.is_empty());
    assert_eq!(queue.lock().free_first, 1);
}

#[tokio::test]
async fn a_wait_ends_where_streams_go_on_waiting() {
    let capacity = Capacity {
        first: 1,
        further: 0,
        places: 1,
    };
    let queue = Queue::new(capacity, Duration::ZERO);
    let held = granted(ask(&queue, "x", Admission::Refuse));
    let mut stream = ask(&queue, "x", Admission::Wait);
    let refused = queue.permit(owner("a"), Admission::Refuse).await;
    assert_eq!(
        refused.expect_err("it has waited").reason(),
        reason::OVERLOADED
    );
    assert!(poll(&mut stream).is_pending());
    drop(held);
    drop(granted(stream));
}
