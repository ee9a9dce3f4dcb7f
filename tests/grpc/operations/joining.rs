//! The same request, sent while it is at work.

use anomalyd::proto::v1::{OperationState, TrainRequest, UpdateRequest};
use tonic::Code;

use super::{Operations, held, kept_versions, training_on_dataset, upload_rows};
use crate::grpc::datasets::{self, of_dataset};
use crate::grpc::harness::{get_model, normal_rows, refusal, train, trained, xy};

#[tokio::test(flavor = "multi_thread")]
async fn all_who_send_the_same_request_get_the_same_answer() {
    let (server, gate, _folder) = held::server(|_| {}).await;
    let operations = Operations::of(&server, "alice").await;
    let client = server.client("alice").await;
    upload_rows(&server).await;
    gate.close();
    let training = training_on_dataset("run", "once");
    let mut calls = Vec::new();
    for n_callers in 1..=3 {
        let (mut client, training) = (client.clone(), training.clone());
        calls.push(tokio::spawn(
            async move { trained(&mut client, training).await },
        ));
        operations.until_callers("once", n_callers).await;
    }

    // neither another training nor an update may use the key
    let other = TrainRequest {
        records: Some(xy(normal_rows(50, 2))),
        ..training.clone()
    };
    let refused = refusal(client.clone().train(other).await);
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (Code::FailedPrecondition, "REQUEST_ID_REUSED")
    );
    let update = UpdateRequest {
        run_id: "run".to_owned(),
        records: training.records.clone(),
        request_id: "once".to_owned(),
    };
    let refused = refusal(client.clone().update(update).await);
    assert_eq!(refused.reason, "REQUEST_ID_REUSED");
    // and another owner's request is another one
    let bob = Operations::of(&server, "bob").await;
    refusal(bob.of_request("once").await);

    gate.open();
    let mut models = Vec::new();
    for call in calls {
        models.push(call.await.expect("no panic"));
    }
    assert!(models.iter().all(|model| *model == models[0]));
    let mut client = client;
    let kept = kept_versions(&mut client, "run").await;
    assert_eq!(kept.expect("is there"), [1]);
    assert_eq!(
        operations.list().await.len(),
        2,
        "the upload and one training"
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_is_sent_twice_counts_its_rows_once() {
    let (server, gate, _folder) = held::server(|_| {}).await;
    let operations = Operations::of(&server, "alice").await;
    let mut client = server.client("alice").await;
    train(&mut client, "run").await;
    upload_rows(&server).await;
    gate.close();
    let update = UpdateRequest {
        run_id: "run".to_owned(),
        records: Some(of_dataset("rows")),
        request_id: "more".to_owned(),
    };
    let mut calls = Vec::new();
    for n_callers in 1..=2 {
        let (mut client, update) = (client.clone(), update.clone());
        calls.push(tokio::spawn(async move { client.update(update).await }));
        operations.until_callers("more", n_callers).await;
    }
    gate.open();
    for call in calls {
        let answer = call.await.expect("no panic").expect("updates");
        let model = answer.into_inner().model.expect("described");
        assert_eq!((model.version, model.n_rows), (2, 550));
    }
    let model = get_model(&mut client, "run").await.expect("is there");
    assert_eq!(model.version, 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_joined_get_the_error_and_a_retry_tries_again() {
    let (server, gate, _folder) = held::server(|_| {}).await;
    let operations = Operations::of(&server, "alice").await;
    let mut client = server.client("alice").await;
    let mut uploader = datasets::client(&server, "alice").await;
    datasets::upload(&mut uploader, "one", b"x,y\n1,2\n")
        .await
        .expect("is stored");
    gate.close();
    // one row is too few, which is found out by the compute thread
    let training = TrainRequest {
        records: Some(of_dataset("one")),
        ..training_on_dataset("run", "one row")
    };
    let mut calls = Vec::new();
    for n_callers in 1..=2 {
        let (mut client, training) = (client.clone(), training.clone());
        calls.push(tokio::spawn(async move { client.train(training).await }));
        operations.until_callers("one row", n_callers).await;
    }
    gate.open();
    let first = refusal(calls.remove(0).await.expect("no panic"));
    let second = refusal(calls.remove(0).await.expect("no panic"));
    assert_eq!(first, second);
    assert_eq!(
        (first.code, first.reason.as_str()),
        (Code::InvalidArgument, "UNUSABLE_ROWS")
    );
    let ended = operations
        .until("one row", |it| it.end_time.is_some())
        .await;
    assert_eq!(ended.state(), OperationState::Failed);
    let error = ended.error.expect("it says why");
    assert_eq!((error.reason, error.message), (first.reason, first.message));

    refusal(client.train(training).await);
    let n_trainings = operations.list().await.len() - 1;
    assert_eq!(n_trainings, 2, "it was tried again");
    server.stop().await;
}
