use super::*;

/// Lets a connection have had a request of an owner, a while ago.
fn serve(slot: &Slot) {
    let connection = slot.connection();
    connection.begin(Kind::Owned).has_owner();
    connection.lock().needed_until -= BETWEEN_REQUESTS;
}

/// A new connection, which waits for its slot.
fn newcomer(all: &Arc<OpenConnections>) -> tokio::task::JoinHandle<Option<Slot>> {
    let all = Arc::clone(all);
    tokio::spawn(async move { all.admit().await })
}

#[tokio::test]
async fn an_idle_connection_makes_room_and_first_of_all_one_without_an_owner() {
    let all = OpenConnections::new(3, 10);
    let first = all.admit().await.expect("room");
    let busy = first.connection().begin(Kind::Owned);
    let second = all.admit().await.expect("room");
    serve(&second);
    let third = all.admit().await.expect("room");

    let fourth = newcomer(&all);
    third.connection().evicted().await;
    assert!(!second.connection().evicted.is_cancelled());
    drop(third);
    let fourth = fourth.await.expect("no panic").expect("room was made");

    let used = [&second, &fourth].map(|slot| slot.connection().begin(Kind::Owned));
    assert!(all.admit().await.is_none(), "none is idle");
    drop((first, busy, used));
    all.admit().await.expect("room");
}

#[tokio::test]
async fn watching_the_health_keeps_no_connection_without_an_owner() {
    let all = OpenConnections::new(3, 10);
    let [watching, probing, owned] = [(); 3].map(|()| all.take_slot().expect("room"));
    let _watch = watching.connection().begin(Kind::PublicStream);
    serve(&owned);
    let _own_watch = owned.connection().begin(Kind::PublicStream);
    // neither a probe nor a request without a token makes it come later
    drop(probing.connection().begin(Kind::Public));
    drop(watching.connection().begin(Kind::Owned));
    let mut newer = Vec::new();
    for slot in [watching, probing] {
        let next = newcomer(&all);
        slot.connection().evicted().await;
        slot.connection()
            .unneeded_for(Duration::from_millis(1))
            .await;
        drop(slot);
        let next = next.await.expect("no panic").expect("room was made");
        serve(&next);
        newer.push(next);
    }
    assert!(!owned.connection().evicted.is_cancelled());
}

#[tokio::test]
async fn a_connection_of_an_owner_is_kept_between_two_requests() {
    let all = OpenConnections::new(1, 10);
    let slot = all.admit().await.expect("room");
    serve(&slot);
    drop(slot.connection().begin(Kind::Owned));
    assert!(slot.connection().idleness().is_none());
    slot.connection().lock().needed_until -= BETWEEN_REQUESTS;
    assert!(slot.connection().idleness().is_some());
}

#[tokio::test]
async fn another_connection_makes_room_when_the_first_is_needed_again() {
    let all = OpenConnections::new(2, 10);
    let [first, second] = [(); 2].map(|()| all.take_slot().expect("room"));
    let next = newcomer(&all);
    first.connection().evicted().await;
    let _request = first.connection().begin(Kind::Owned);
    let evicted = second.connection().evicted();
    let evicted = tokio::time::timeout(Duration::from_secs(30), evicted).await;
    evicted.expect("it makes room");
    drop(second);
    next.await.expect("no panic").expect("room was made");
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
    for (kind, other_kind, limit) in [
        (Kind::Owned, Kind::PublicStream, 100),
        (Kind::PublicStream, Kind::Owned, MAX_PUBLIC_ON_CONNECTION),
    ] {
        let connection = slot.connection();
        let mut open: Vec<_> = (0..limit).map(|_| connection.begin(kind)).collect();
        let one_more = connection.begin(kind);
        let error = one_more.check().expect_err("too many");
        assert_eq!(error.reason(), reason::OVERLOADED);
        open.pop();
        one_more.check().expect("there is room again");
        let elsewhere = other.connection().begin(other_kind);
        elsewhere.check().expect("is counted apart");
    }
    let slots: Vec<_> = (0..4).map(|_| all.take_slot().expect("room")).collect();
    let watches: Vec<_> = (0..50)
        .map(|n: usize| slots[n % 4].connection().begin(Kind::PublicStream))
        .collect();
    watches[0].check().expect("half as many as other requests");
    let one_more = other.connection().begin(Kind::PublicStream);
    one_more.check().expect_err("too many over all connections");
    let probe = slot.connection().begin(Kind::Public);
    probe.check().expect("a probe passes all the same");
}

#[tokio::test]
async fn a_connection_is_idle_from_the_end_of_its_last_request() {
    let all = OpenConnections::new(1, 10);
    let slot = all.admit().await.expect("room");
    let connection = slot.connection();
    let (soon, never) = (Duration::from_millis(1), Duration::MAX);
    connection.idle_for(soon, never).await;
    let request = connection.begin(Kind::Owned);
    let idle = connection.idle_for(never, soon);
    let in_progress = tokio::time::timeout(Duration::from_millis(50), idle).await;
    assert!(in_progress.is_err(), "a request is in progress");
    drop(request);
    connection.idle_for(never, soon).await;
}
