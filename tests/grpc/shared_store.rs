//! Two servers with one store, as replicas would have: each sees what the other writes, and does not rely on its own
//! memory.

use anomalyd::proto::v1::{DeleteRunRequest, ListModelsRequest};
use anomalyd::store::{MemoryStore, TokenKey};
use tonic::Code;

use crate::grpc::harness::{
    Server, get_model, normal_rows, predict, refusal, scores, train, update, xy,
};

async fn two_servers() -> (MemoryStore, Server, Server) {
    let store = MemoryStore::new(&TokenKey::from_bytes([1; 32]));
    let first = Server::over(store.share(), |_| {}).await;
    let second = Server::over(store.share(), |_| {}).await;
    (store, first, second)
}

#[tokio::test]
async fn servers_that_share_a_store_serve_the_same_runs() {
    let (_store, first, second) = two_servers().await;
    let (mut one, mut other) = (first.client("alice").await, second.client("alice").await);
    train(&mut one, "run").await;
    let probe = xy(normal_rows(20, 3));
    assert_eq!(
        scores(&mut one, "run", probe.clone()).await,
        scores(&mut other, "run", probe.clone()).await
    );
    let updated = update(&mut other, "run", xy(normal_rows(50, 2))).await;
    assert_eq!(updated.expect("updates").version, 2);
    assert_eq!(get_model(&mut one, "run").await.expect("there").version, 2);

    let delete = DeleteRunRequest {
        run_id: "run".to_owned(),
    };
    one.delete_run(delete).await.expect("deletes");
    let refused = refusal(predict(&mut other, "run", probe.clone()).await);
    assert_eq!(refused.reason, "RUN_NOT_FOUND");
    let listed = other.list_models(ListModelsRequest::default()).await;
    assert!(listed.expect("lists").into_inner().models.is_empty());

    assert_eq!(train(&mut other, "run").await.version, 3);
    let mut stranger = first.client("bob").await;
    let refused = refusal(get_model(&mut stranger, "run").await);
    assert_eq!(refused.reason, "RUN_NOT_FOUND");
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn an_unreachable_store_is_unavailable_until_it_comes_back() {
    let (store, first, second) = two_servers().await;
    let mut client = first.client("alice").await;
    train(&mut client, "run").await;
    let probe = xy(normal_rows(5, 3));
    store.cut_off(true);
    for refused in [
        refusal(predict(&mut client, "run", probe.clone()).await),
        refusal(update(&mut client, "run", probe.clone()).await),
        refusal(get_model(&mut client, "run").await),
    ] {
        assert_eq!(
            (refused.code, refused.reason.as_str()),
            (Code::Unavailable, "UNAVAILABLE")
        );
    }
    store.cut_off(false);
    predict(&mut client, "run", probe).await.expect("scores");
    first.stop().await;
    second.stop().await;
}
