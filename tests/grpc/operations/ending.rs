//! Cancelling operations, and naming and listing them.

use anomalyd::proto::v1::{
    GetOperationRequest, ListOperationsRequest, OperationKind, OperationState, TrainRequest,
    cancel_operation_request, get_operation_request,
};
use tonic::Code;

use super::{Operations, is_running, kept_versions, long_training, server, short_training};
use crate::grpc::harness::{refusal, trained};

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_training_stops_and_only_its_owner_can_cancel_it() {
    use cancel_operation_request::Operation::{OperationId, RequestId};
    let (server, _folder) = server(|_| {}).await;
    let operations = Operations::of(&server, "alice").await;
    let mut client = server.client("alice").await;
    for request_id in ["", "once"] {
        let training = TrainRequest {
            request_id: request_id.to_owned(),
            ..long_training("run")
        };
        let call = tokio::spawn({
            let mut client = client.clone();
            async move { client.train(training).await }
        });
        let running = operations.until_running().await;
        assert_eq!(running.kind(), OperationKind::Train);
        assert_eq!(
            (&*running.run_id, &*running.request_id),
            ("run", request_id)
        );
        assert!(running.progress.is_some() && running.end_time.is_none());
        let id = running.operation_id.clone();

        // for another owner it does not exist
        let bob = Operations::of(&server, "bob").await;
        assert!(bob.list().await.is_empty());
        let no_such = "0".repeat(32);
        let hidden = [
            (
                bob.get(get_operation_request::Operation::OperationId(id.clone()))
                    .await,
                &id,
            ),
            (bob.cancel(OperationId(id.clone())).await, &id),
            (bob.cancel(OperationId(no_such.clone())).await, &no_such),
        ];
        for (outcome, id) in hidden {
            let refused = refusal(outcome);
            assert_eq!(
                (refused.code, refused.reason.as_str()),
                (Code::NotFound, "OPERATION_NOT_FOUND")
            );
            let message = refused.message.replace(id, "ID");
            assert!(
                message.starts_with("there is no operation \"ID\""),
                "{message}"
            );
        }
        assert!(operations.list().await.iter().any(is_running));

        let named = match request_id {
            "" => OperationId(id.clone()),
            key => RequestId(key.to_owned()),
        };
        let cancelled = operations.cancel(named.clone()).await.expect("is there");
        assert_eq!(cancelled.state(), OperationState::Cancelled);
        let refused = refusal(call.await.expect("no panic"));
        assert_eq!(
            (refused.code, refused.reason.as_str()),
            (Code::Cancelled, "OPERATION_CANCELLED")
        );
        let again = operations.cancel(named).await.expect("is still known");
        assert_eq!(again.state(), OperationState::Cancelled);
        assert!(again.end_time.is_some());
    }
    refusal(kept_versions(&mut client, "run").await);

    // the thread is free again, and a cancellation comes too late
    assert_eq!(
        trained(&mut client, short_training("run", "quick"))
            .await
            .version,
        1
    );
    let late = operations.cancel(RequestId("quick".to_owned())).await;
    let late = late.expect("is still known");
    assert_eq!(late.state(), OperationState::Succeeded);
    server.stop().await;
}

#[tokio::test]
async fn operations_are_listed_in_pages_and_must_be_named() {
    let (server, _folder) = server(|_| {}).await;
    let operations = Operations::of(&server, "alice").await;
    let mut client = server.client("alice").await;
    for run in ["a", "b", "c"] {
        // the same key in several runs
        trained(&mut client, short_training(run, "key")).await;
    }
    let mut runs = Vec::new();
    let mut request = ListOperationsRequest {
        page_size: 2,
        ..ListOperationsRequest::default()
    };
    loop {
        let page = operations.0.clone().list_operations(request.clone()).await;
        let page = page.expect("lists").into_inner();
        assert!(page.operations.len() <= 2);
        runs.extend(page.operations.into_iter().map(|it| it.run_id));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(runs, ["a", "b", "c"], "as they began");
    let last = operations.of_request("key").await.expect("the last one");
    assert_eq!(last.run_id, "c");

    let mut client = operations.0.clone();
    let refused = client
        .list_operations(ListOperationsRequest {
            page_token: "%".to_owned(),
            ..ListOperationsRequest::default()
        })
        .await;
    assert_eq!(refusal(refused).field, "page_token");
    let nothing = client.get_operation(GetOperationRequest::default()).await;
    assert_eq!(refusal(nothing).field, "operation_id");
    let empty = get_operation_request::Operation::RequestId(String::new());
    assert_eq!(refusal(operations.get(empty).await).field, "request_id");
    let no_id = get_operation_request::Operation::OperationId("x".to_owned());
    assert_eq!(refusal(operations.get(no_id).await).code, Code::NotFound);
    server.stop().await;
}
