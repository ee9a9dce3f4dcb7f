//! A run from its first training to its deletion, and across restarts.

use anomalyd::proto::v1::training_spec::Policy;
use anomalyd::proto::v1::{
    AnswerRows, DeleteRunRequest, Detail, GetModelRequest, ListModelsRequest, PredictStreamHeader,
    TrainRequest, UpdateRequest,
};
use tonic::Code;

use crate::grpc::harness::{
    Server, answer, get_model, header, model_request, normal_rows, number, predict, refusal,
    scores, server, spec, stream, streamed, train, train_request, trained, update, xy,
};

#[tokio::test]
async fn a_run_is_trained_used_updated_and_deleted() {
    let (server, mut client, _folder) = server().await;

    let trained = train(&mut client, "tour").await;
    assert_eq!(
        (trained.version, trained.n_rows, trained.n_features),
        (1, 500, 2)
    );
    assert_eq!(trained.detector_name, "auto");
    assert_eq!(trained.feature_names, ["x", "y"]);
    assert_eq!(spec(&trained).policy, Some(Policy::Contamination(0.1)));
    let statistics = trained.statistics.clone().expect("has statistics");
    assert_eq!(statistics.n_calibration_rows, Some(500));
    assert_eq!(
        statistics.n_anomalies,
        Some(50),
        "a tenth of the training rows score above the threshold"
    );

    let one = predict(&mut client, "tour", xy(vec![50.0, -50.0]))
        .await
        .expect("predicts");
    let row = one
        .rows
        .first()
        .expect("one row in gives one readable row out");
    assert_eq!((row.row, row.is_anomaly), (Some(0), Some(true)));
    assert!(row.score > trained.threshold);

    let many = predict(&mut client, "tour", xy(vec![0.0, 5.0, 50.0, -50.0]))
        .await
        .expect("predicts");
    assert_eq!(many.is_anomaly, [false, true]);
    let summary = many.summary.expect("has a summary");
    assert_eq!(
        (summary.version, summary.n_rows, summary.n_anomalies),
        (1, Some(2), Some(1))
    );
    assert_eq!(summary.threshold, trained.threshold);

    let records = || [xy(vec![0.0, 5.0, 0.1, 5.1]), xy(vec![50.0, -50.0])];
    let along = streamed(&mut client, stream(header("tour"), records())).await;
    let along = along.expect("streams");
    assert_eq!(
        along.row_indices,
        [2],
        "the anomalies, when nothing is said"
    );
    assert_eq!(
        along.scores,
        [row.score.expect("scored")],
        "the transport has no influence"
    );
    assert_eq!(along.truncated, Some(false));
    let in_full = PredictStreamHeader {
        answer: answer(AnswerRows::Anomalies, Detail::Full),
        ..header("tour")
    };
    let in_full = streamed(&mut client, stream(in_full, records())).await;
    let in_full = in_full.expect("streams").rows;
    assert_eq!(
        in_full
            .iter()
            .map(|row| (row.row, row.score))
            .collect::<Vec<_>>(),
        [(Some(2), row.score)]
    );

    let updated = update(&mut client, "tour", xy(normal_rows(100, 2)))
        .await
        .expect("updates");
    assert_eq!((updated.version, updated.n_rows), (2, 600));
    let described = client
        .get_model(model_request("tour"))
        .await
        .expect("is there")
        .into_inner();
    assert_eq!(
        (described.active_version, described.kept_versions.as_slice()),
        (2, &[1, 2][..])
    );
    assert_eq!(described.model, Some(updated.clone()));
    let old = client
        .get_model(version_request("tour", 1))
        .await
        .expect("is kept")
        .into_inner();
    assert_eq!(old.model, Some(trained));

    let listed = client
        .list_models(ListModelsRequest::default())
        .await
        .expect("lists")
        .into_inner();
    assert_eq!(listed.models.len(), 1);
    assert_eq!(
        (listed.models[0].run_id.as_str(), listed.models[0].version),
        ("tour", 2)
    );
    assert_eq!(listed.models[0].threshold, updated.threshold);

    let deleted = client
        .delete_run(delete("tour"))
        .await
        .expect("deletes")
        .into_inner();
    assert_eq!(deleted.n_versions, Some(2));
    for refused in [
        refusal(predict(&mut client, "tour", xy(vec![0.0, 0.0])).await),
        refusal(get_model(&mut client, "tour").await),
        refusal(client.delete_run(delete("tour")).await),
    ] {
        assert_eq!(
            (refused.code, refused.reason.as_str()),
            (Code::NotFound, "RUN_NOT_FOUND")
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn everything_acknowledged_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let first = Server::start(folder.path()).await;
    let mut client = first.client("alice").await;
    train(&mut client, "kept").await;
    let before = update(&mut client, "kept", xy(normal_rows(50, 2)))
        .await
        .expect("updates");
    train(&mut client, "gone").await;
    client.delete_run(delete("gone")).await.expect("deletes");
    let probe = xy(normal_rows(20, 3));
    let scores_before = scores(&mut client, "kept", probe.clone()).await;
    first.stop().await;

    let second = Server::start(folder.path()).await;
    let mut client = second.client("alice").await;
    assert_eq!(
        get_model(&mut client, "kept").await.expect("is there"),
        before
    );
    assert_eq!(
        scores(&mut client, "kept", probe).await,
        scores_before,
        "same row, same answer"
    );
    assert_eq!(
        refusal(get_model(&mut client, "gone").await).code,
        Code::NotFound
    );
    let again = update(&mut client, "kept", xy(normal_rows(50, 4)))
        .await
        .expect("the reservoir is there too");
    assert_eq!((again.version, again.n_rows), (3, 600));
    second.stop().await;
}

#[tokio::test]
async fn the_last_ten_versions_are_kept_and_the_files_of_older_ones_deleted() {
    let (server, mut client, folder) = server().await;
    for version in 1..=12 {
        assert_eq!(train(&mut client, "often").await.version, version);
    }
    let described = client
        .get_model(model_request("often"))
        .await
        .expect("is there")
        .into_inner();
    assert_eq!(described.kept_versions, (3..=12).collect::<Vec<u64>>());
    let refused = refusal(client.get_model(version_request("often", 2)).await);
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (Code::NotFound, "VERSION_NOT_FOUND")
    );
    let blobs = std::fs::read_dir(folder.path().join("blobs"))
        .expect("blobs are there")
        .count();
    assert_eq!(blobs, 20, "a model and a reservoir for each kept version");
    client.delete_run(delete("often")).await.expect("deletes");
    let blobs = std::fs::read_dir(folder.path().join("blobs"))
        .expect("the folder stays")
        .count();
    assert_eq!(blobs, 0);
    server.stop().await;
}

#[tokio::test]
async fn runs_are_listed_page_by_page_in_order() {
    let (server, mut client, _folder) = server().await;
    for run_id in ["b", "ä", "a", "c", "a b"] {
        train(&mut client, run_id).await;
    }
    let mut listed = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListModelsRequest {
            page_size: 2,
            page_token,
        };
        let page = client
            .list_models(request)
            .await
            .expect("lists")
            .into_inner();
        assert!(page.models.len() <= 2);
        listed.extend(page.models.into_iter().map(|model| model.run_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, ["a", "a b", "b", "c", "ä"]);
    let refused = client
        .list_models(ListModelsRequest {
            page_size: 0,
            page_token: "%".to_owned(),
        })
        .await;
    assert_eq!(refusal(refused).field, "page_token");
    let refused = client
        .list_models(ListModelsRequest {
            page_size: 1001,
            page_token: String::new(),
        })
        .await;
    assert_eq!(refusal(refused).field, "page_size");
    server.stop().await;
}

#[tokio::test]
async fn a_request_id_makes_retries_safe() {
    let (server, mut client, _folder) = server().await;
    let request = TrainRequest {
        request_id: "once".to_owned(),
        ..train_request("retried", xy(normal_rows(50, 1)))
    };
    let first = trained(&mut client, request.clone()).await;
    let (second, third) = {
        let (mut one, mut two) = (client.clone(), client.clone());
        let (second, third) = tokio::join!(one.train(request.clone()), two.train(request));
        (
            second.expect("retries").into_inner().model,
            third.expect("retries").into_inner().model,
        )
    };
    assert_eq!((second, third), (Some(first.clone()), Some(first)));

    let update = UpdateRequest {
        run_id: "retried".to_owned(),
        records: Some(xy(normal_rows(50, 2))),
        request_id: "update".to_owned(),
    };
    let (mut one, mut two) = (client.clone(), client.clone());
    let (one, two) = tokio::join!(one.update(update.clone()), two.update(update));
    let (one, two) = (
        one.expect("updates").into_inner().model,
        two.expect("retries").into_inner().model,
    );
    assert_eq!(one, two);
    assert_eq!(
        one.map(|model| model.n_rows),
        Some(100),
        "the rows were counted once"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_request_id_that_another_request_has_used_is_refused() {
    let (server, mut client, _folder) = server().await;
    let train = TrainRequest {
        request_id: "once".to_owned(),
        ..train_request("reused", xy(normal_rows(50, 1)))
    };
    let first = trained(&mut client, train.clone()).await;
    let other_rows = TrainRequest {
        records: Some(xy(normal_rows(50, 2))),
        ..train.clone()
    };
    let update = UpdateRequest {
        run_id: "reused".to_owned(),
        records: train.records.clone(),
        request_id: "once".to_owned(),
    };
    let refused = [
        refusal(client.train(other_rows).await),
        refusal(client.update(update.clone()).await),
    ];
    for refused in refused {
        assert_eq!(
            (
                refused.code,
                refused.reason.as_str(),
                refused.field.as_str()
            ),
            (Code::FailedPrecondition, "REQUEST_ID_REUSED", "request_id")
        );
    }
    assert_eq!(trained(&mut client, train).await, first, "a retry");
    // an id belongs to a run
    let elsewhere = TrainRequest {
        request_id: "once".to_owned(),
        ..train_request("elsewhere", xy(normal_rows(50, 2)))
    };
    trained(&mut client, elsewhere).await;
    server.stop().await;
}

fn version_request(run_id: &str, version: u64) -> GetModelRequest {
    GetModelRequest {
        version: number(version),
        ..model_request(run_id)
    }
}

fn delete(run_id: &str) -> DeleteRunRequest {
    DeleteRunRequest {
        run_id: run_id.to_owned(),
    }
}
