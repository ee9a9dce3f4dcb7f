//! Tokens own runs.

use anomalyd::proto::v1::{DeleteRunRequest, ListModelsRequest};
use tonic::Code;

use crate::grpc::harness::{
    Server, get_model, normal_rows, predict, refusal, scores, server, train, train_request, update,
    xy,
};

#[tokio::test]
async fn two_tokens_never_see_each_others_runs() {
    let (server, mut alice, _folder) = server().await;
    let mut bob = server.client("bob").await;
    let of_alice = train(&mut alice, "same").await;

    let refusals = [
        refusal(get_model(&mut bob, "same").await),
        refusal(predict(&mut bob, "same", xy(vec![0.0, 0.0])).await),
        refusal(update(&mut bob, "same", xy(vec![0.0, 0.0])).await),
        refusal(
            bob.delete_run(DeleteRunRequest {
                run_id: "same".to_owned(),
            })
            .await,
        ),
    ];
    let absent = refusal(get_model(&mut bob, "same").await);
    for refused in refusals {
        assert_eq!(
            refused, absent,
            "another's run is exactly as one that does not exist"
        );
    }
    assert!(
        bob.list_models(ListModelsRequest::default())
            .await
            .expect("lists")
            .into_inner()
            .models
            .is_empty()
    );

    let shifted = normal_rows(500, 1)
        .into_iter()
        .map(|value| value + 100.0)
        .collect();
    bob.train(train_request("same", xy(shifted)))
        .await
        .expect("trains");
    let probe = xy(vec![0.0, 5.0, 100.0, 105.0]);
    let (by_alice, by_bob) = (
        scores(&mut alice, "same", probe.clone()).await,
        scores(&mut bob, "same", probe).await,
    );
    assert!(by_alice[0] < by_alice[1] && by_bob[0] > by_bob[1]);
    bob.delete_run(DeleteRunRequest {
        run_id: "same".to_owned(),
    })
    .await
    .expect("deletes");
    assert_eq!(
        get_model(&mut alice, "same").await.expect("stays"),
        of_alice
    );
    server.stop().await;
}

#[tokio::test]
async fn no_token_is_refused_unless_anonymous_is_allowed() {
    let (server, _, _folder) = server().await;
    for authorization in [None, Some("Bearer"), Some("Bearer "), Some("Basic YTpi")] {
        let mut client = server.client_with(authorization).await;
        let refused = refusal(get_model(&mut client, "any").await);
        assert_eq!(
            (refused.code, refused.reason.as_str()),
            (Code::Unauthenticated, "MISSING_TOKEN")
        );
    }
    server.stop().await;

    let folder = tempfile::tempdir().expect("a temporary folder");
    let open = Server::start_with(folder.path(), |flags| {
        flags.allow_anonymous = Some("true".to_owned())
    })
    .await;
    let mut anonymous = open.client_with(None).await;
    let of_anonymous = train(&mut anonymous, "shared").await;
    let mut another = open.client_with(None).await;
    assert_eq!(
        get_model(&mut another, "shared")
            .await
            .expect("one shared identity"),
        of_anonymous
    );
    for token in ["alice", "anonymous"] {
        let mut named = open.client(token).await;
        assert_eq!(
            refusal(get_model(&mut named, "shared").await).code,
            Code::NotFound
        );
    }
    open.stop().await;
}
