use std::sync::Mutex;

use tokio::sync::oneshot;
use tokio::task::{JoinHandle, yield_now};

use super::*;
use crate::caller::{Presence, RequestId};
use crate::store::{TokenHasher, TokenKey};

const NEVER: Duration = Duration::from_secs(3600);

fn owner(token: &str) -> Owner {
    TokenHasher::new(&TokenKey::from_bytes([1; 32])).owner_of(token.as_bytes())
}

fn plan(kind: Kind, request_id: &str) -> Plan {
    let request_id = RequestId::parse(request_id, "Train", |fingerprint| {
        fingerprint.add(b"rows");
        Ok(())
    });
    let request_id = request_id.expect("valid");
    Plan::new(owner("alice"), kind, "run", request_id.as_ref())
}

/// The results that are stored.
type Made = Arc<Mutex<Vec<u32>>>;

/// Does work that ends when it is told to: with a number that it then stores, or with an error.
fn work(
    operations: &Arc<Operations>,
    plan: Plan,
    made: &Made,
) -> (
    Presence,
    oneshot::Sender<Result<u32>>,
    JoinHandle<Result<u32>>,
) {
    let (operations, made) = (Arc::clone(operations), Arc::clone(made));
    let presence = Presence::default();
    let (finish, finished) = oneshot::channel();
    let here = presence.clone();
    let task = tokio::spawn(async move {
        let made_before = || async { Ok(made.lock().expect("no panic").last().copied()) };
        match operations.begin(plan, made_before).await? {
            Begun::Made(number) => Ok(number),
            Begun::Lead(lead) => {
                let work = async {
                    let number = finished.await.expect("it is told to end")?;
                    lead.operation().commit()?;
                    made.lock().expect("no panic").push(number);
                    Ok(number)
                };
                lead.run(&here, work).await
            }
        }
    });
    (presence, finish, task)
}

/// Waits until an operation of the plan's request looks like this.
async fn until(operations: &Operations, request_id: &str, is_so: impl Fn(&Shown) -> bool) {
    let selector = Selector::RequestId(request_id.to_owned());
    loop {
        let found = operations.get(owner("alice"), &selector);
        if found.is_ok_and(|operation| is_so(&operation.show())) {
            return;
        }
        yield_now().await;
    }
}

fn running(operations: &Operations) -> usize {
    let table = operations.table();
    table.running.len() + table.joinable.len()
}

#[tokio::test]
async fn the_same_request_joins_the_work_and_both_get_its_result() {
    let operations = Operations::new(NEVER);
    let made = Made::default();
    let (_presence, finish, first) = work(&operations, plan(Kind::Train, "a"), &made);
    until(&operations, "a", |shown| shown.n_callers == 1).await;
    let (_other, _, second) = work(&operations, plan(Kind::Train, "a"), &made);
    until(&operations, "a", |shown| shown.n_callers == 2).await;

    // an id belongs to a run and a request
    let reused = RequestId::parse("a", "Train", |fingerprint| {
        fingerprint.add(b"other rows");
        Ok(())
    });
    let reused = Plan {
        request_id: reused.expect("valid"),
        ..plan(Kind::Train, "a")
    };
    let (_, _, refused) = work(&operations, reused, &made);
    let refused = refused
        .await
        .expect("no panic")
        .expect_err("another request");
    assert_eq!(refused.reason(), reason::REQUEST_ID_REUSED);
    let elsewhere = Plan {
        target: "other run".to_owned(),
        ..plan(Kind::Train, "a")
    };
    let (_elsewhere, end_elsewhere, other) = work(&operations, elsewhere, &Made::default());
    let by_request_id = Selector::RequestId("a".to_owned());
    let ambiguous = loop {
        match operations.get(owner("alice"), &by_request_id) {
            Err(error) => break error,
            Ok(_) => yield_now().await,
        }
    };
    assert_eq!(ambiguous.field_path(), Some("request_id"));
    end_elsewhere.send(Ok(8)).expect("it waits");
    assert_eq!(other.await.expect("no panic").expect("done"), 8);

    finish.send(Ok(7)).expect("it waits");
    assert_eq!(first.await.expect("no panic").expect("done"), 7);
    assert_eq!(second.await.expect("no panic").expect("joined"), 7);
    assert_eq!(*made.lock().expect("no panic"), [7]);
    assert_eq!(running(&operations), 0);
    let page = operations.list(owner("alice"), None, 10);
    assert_eq!(page.operations.len(), 2, "one for each run");

    // a retry finds the result, and leaves no trace
    let (_, _, retry) = work(&operations, plan(Kind::Train, "a"), &made);
    assert_eq!(retry.await.expect("no panic").expect("made before"), 7);
    assert_eq!(
        operations.list(owner("alice"), None, 10).operations.len(),
        2
    );
}

#[tokio::test]
async fn all_who_joined_get_the_error_and_a_retry_tries_again() {
    let operations = Operations::new(NEVER);
    let made = Made::default();
    let (_presence, finish, first) = work(&operations, plan(Kind::Update, "a"), &made);
    until(&operations, "a", |shown| shown.n_callers == 1).await;
    let (_other, _, second) = work(&operations, plan(Kind::Update, "a"), &made);
    until(&operations, "a", |shown| shown.n_callers == 2).await;
    let error = Error::field("records.rows[3]", "is odd");
    finish.send(Err(error)).expect("it waits");
    for joined in [first, second] {
        let error = joined.await.expect("no panic").expect_err("it failed");
        assert_eq!(
            (error.field_path(), error.message()),
            (Some("records.rows[3]"), "is odd")
        );
    }
    until(&operations, "a", |shown| {
        matches!(shown.state, State::Failed(_))
    })
    .await;

    let (_presence, finish, again) = work(&operations, plan(Kind::Update, "a"), &made);
    finish.send(Ok(1)).expect("it waits");
    assert_eq!(again.await.expect("no panic").expect("done"), 1);
    until(&operations, "a", |shown| {
        matches!(shown.state, State::Succeeded) && shown.reached.is_none()
    })
    .await;
}

#[tokio::test]
async fn what_is_cancelled_stops_unless_it_is_being_stored() {
    let operations = Operations::new(NEVER);
    let made = Made::default();
    let by_request_id = Selector::RequestId("a".to_owned());
    let (_presence, _finish, first) = work(&operations, plan(Kind::Train, "a"), &made);
    until(&operations, "a", |shown| {
        matches!(shown.state, State::Waiting)
    })
    .await;
    let other = operations.cancel(owner("bob"), &by_request_id);
    let other = other.expect_err("it is not theirs");
    assert_eq!(other.reason(), reason::OPERATION_NOT_FOUND);
    let cancelled = operations.cancel(owner("alice"), &by_request_id);
    let cancelled = cancelled.expect("it is there");
    assert!(matches!(cancelled.show().state, State::Cancelled(_)));
    assert!(cancelled.commit().is_err(), "nothing is stored any more");
    let error = first.await.expect("no panic").expect_err("cancelled");
    assert_eq!(error.reason(), reason::OPERATION_CANCELLED);
    assert!(made.lock().expect("no panic").is_empty());

    // without an id the work ends with its caller, until its result is being stored
    let (caller, _finish, _alone) = work(&operations, plan(Kind::Train, ""), &made);
    let listed = || operations.list(owner("alice"), None, 10).operations;
    while listed().iter().all(|it| it.show().n_callers == 0) {
        yield_now().await;
    }
    assert!(!caller.is_outlived());
    let running = listed().into_iter().find(|it| it.show().n_callers > 0);
    running.expect("it runs").commit().expect("not cancelled");
    assert!(caller.is_outlived());

    // by the id, and too late
    let Ok(Begun::Lead(lead)) = operations
        .begin(plan(Kind::Train, ""), || async { Ok(None::<()>) })
        .await
    else {
        panic!("it is new");
    };
    let operation = Arc::clone(lead.operation());
    operation.commit().expect("not cancelled");
    let by_id = Selector::Id(operation.id().to_string());
    let cancel = || operations.cancel(owner("alice"), &by_id).expect("there");
    assert!(matches!(cancel().show().state, State::Committing));
    operation.resume();
    assert!(matches!(operation.show().state, State::Waiting));
    assert!(matches!(cancel().show().state, State::Cancelled(_)));
    let nothing = async { Ok::<(), Error>(()) };
    let stopped = lead.run(&Presence::default(), nothing).await;
    assert!(stopped.is_err(), "it was cancelled before");
    let ended = operations.get(owner("alice"), &by_id).expect("kept");
    assert!(matches!(ended.show().state, State::Cancelled(_)));
    assert!(operations.get(owner("bob"), &by_id).is_err());
}

#[tokio::test]
async fn work_with_a_request_id_goes_on_for_a_bounded_time() {
    let operations = Operations::new(Duration::ZERO);
    let made = Made::default();
    let (presence, _finish, orphan) = work(&operations, plan(Kind::Train, "a"), &made);
    until(&operations, "a", |shown| shown.n_callers == 1).await;
    assert!(presence.is_outlived());
    presence.leave();
    let error = orphan.await.expect("no panic").expect_err("nobody waits");
    assert_eq!(error.reason(), reason::OPERATION_CANCELLED);
    assert!(error.message().contains("orphan_timeout"), "{error}");

    // it goes on as long as anybody waits
    let (presence, finish, first) = work(&operations, plan(Kind::Train, "b"), &made);
    until(&operations, "b", |shown| shown.n_callers == 1).await;
    let (_other, _, joined) = work(&operations, plan(Kind::Train, "b"), &made);
    until(&operations, "b", |shown| shown.n_callers == 2).await;
    presence.leave();
    until(&operations, "b", |shown| shown.n_callers == 1).await;
    tokio::time::sleep(2 * lead::SHORTEST_WAIT).await;
    finish.send(Ok(3)).expect("it still runs");
    assert_eq!(joined.await.expect("no panic").expect("joined"), 3);
    assert_eq!(first.await.expect("no panic").expect("done"), 3);
}

#[tokio::test]
async fn an_upload_can_be_joined_once_it_needs_its_caller_no_more() {
    let operations = Operations::new(NEVER);
    let begin = async |made: Option<u32>| {
        let made_before = move || async move { Ok(made) };
        let begun = operations.begin(plan(Kind::UploadDataset, "a"), made_before);
        begun.await.expect("nothing has failed")
    };
    let (Begun::Lead(first), Begun::Lead(second)) = (begin(None).await, begin(None).await) else {
        panic!("both receive their files");
    };
    drop(second);
    let presence = Presence::default();
    let (joined, ()) = tokio::join!(
        async {
            while !presence.is_outlived() {
                yield_now().await;
            }
            begin(Some(5)).await
        },
        async {
            let work = async {
                first.outlive();
                until(&operations, "a", |shown| shown.n_callers == 2).await;
                Ok::<_, Error>(())
            };
            first.run(&presence, work).await.expect("done");
        }
    );
    assert!(matches!(joined, Begun::Made(5)));
    assert_eq!(running(&operations), 0);
}

#[tokio::test]
async fn operations_are_listed_in_pages_in_the_order_in_which_they_began() {
    let operations = Operations::new(NEVER);
    let mut leads = Vec::new();
    for _ in 0..5 {
        let begun = operations.begin(plan(Kind::Train, ""), || async { Ok(None::<()>) });
        let Ok(Begun::Lead(lead)) = begun.await else {
            panic!("it is new");
        };
        leads.push(lead);
    }
    let ids: Vec<_> = leads.iter().map(|lead| lead.operation().id()).collect();
    for ended in &leads[3..] {
        let nothing = async { Ok::<(), Error>(()) };
        ended
            .run(&Presence::default(), nothing)
            .await
            .expect("done");
    }
    let listed = |after, limit| {
        let page = operations.list(owner("alice"), after, limit);
        let listed = page.operations.iter().map(|operation| operation.id());
        (listed.collect::<Vec<_>>(), page.more)
    };
    assert_eq!(listed(None, 5), (ids.clone(), false));
    assert_eq!(listed(None, 2), (ids[..2].to_vec(), true));
    assert_eq!(listed(Some(ids[1]), 3), (ids[2..].to_vec(), false));
    assert_eq!(listed(Some(ids[4]), 3), (Vec::new(), false));
    let of_bob = operations.list(owner("bob"), None, 5);
    assert!(of_bob.operations.is_empty() && !of_bob.more);
}
