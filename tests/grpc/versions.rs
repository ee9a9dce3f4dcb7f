//! Version selectors, in every method that has one.

use anomalyd::proto::v1::version_selector::Choice;
use anomalyd::proto::v1::{
    GetModelRequest, PredictDatasetRequest, PredictRequest, PredictStreamHeader, TrainRequest,
    VersionSelector,
};
use tonic::{Code, Status};

use crate::grpc::datasets::{self, pages, pages_request};
use crate::grpc::harness::{
    Client, header, model_request, normal_rows, predict_request, predicted, refusal, server,
    stream, streamed, train, train_request, update, xy,
};

fn alias(alias: &str) -> Option<VersionSelector> {
    Some(VersionSelector {
        choice: Some(Choice::Alias(alias.to_owned())),
    })
}

fn number(number: u64) -> Option<VersionSelector> {
    crate::grpc::harness::number(number)
}

/// The version that each method selects, with the field of the selector in its request.
async fn chosen(
    client: &mut Client,
    selector: Option<VersionSelector>,
) -> Vec<(&'static str, Result<u64, Status>)> {
    let described = GetModelRequest {
        version: selector.clone(),
        ..model_request("run")
    };
    let described = client.get_model(described).await;
    let described = described.map(|found| found.into_inner().model.expect("described").version);

    let at_once = PredictRequest {
        version: selector.clone(),
        ..predict_request("run", xy(normal_rows(3, 2)))
    };
    let at_once = predicted(client, at_once).await;
    let at_once = at_once.map(|found| found.summary.expect("summed up").version);

    let along = PredictStreamHeader {
        version: selector.clone(),
        ..header("run")
    };
    let along = streamed(client, stream(along, [xy(normal_rows(3, 2))])).await;
    let along = along.map(|found| found.summary.expect("summed up").version);

    let paged = PredictDatasetRequest {
        version: selector,
        ..pages_request("run", "rows")
    };
    let paged = pages(client, paged).await.map(|pages| {
        let page = pages.into_iter().next().expect("a page");
        let summary = page.predictions.expect("answered").summary;
        summary.expect("summed up").version
    });
    vec![
        ("version", described),
        ("version", at_once),
        ("header.version", along),
        ("version", paged),
    ]
}

#[tokio::test]
async fn a_number_or_an_alias_selects_a_version_and_the_default_is_the_active_one() {
    let (server, mut client, _folder) = server().await;
    train(&mut client, "run").await;
    update(&mut client, "run", xy(normal_rows(50, 3)))
        .await
        .expect("updates");
    let mut owner = datasets::client(&server, "alice").await;
    datasets::upload(&mut owner, "rows", b"x,y\n1,2\n3,4\n")
        .await
        .expect("uploads");
    for (selector, expected) in [
        (None, 2),
        (alias("active"), 2),
        (number(2), 2),
        (number(1), 1),
    ] {
        for (_, version) in chosen(&mut client, selector.clone()).await {
            assert_eq!(version.expect("is there"), expected, "{selector:?}");
        }
    }
    for (selector, message) in [
        (number(0), "counted from 1"),
        (alias("candidate"), "\"candidate\" is not an alias"),
        (alias(""), "is not an alias"),
        (alias("Active"), "is not an alias"),
        (Some(VersionSelector { choice: None }), "chooses no version"),
    ] {
        let mut outcomes = chosen(&mut client, selector.clone()).await;
        let alike = TrainRequest {
            like_version: selector.clone(),
            ..train_request("run", xy(normal_rows(50, 4)))
        };
        let alike = client.train(alike).await.map(|_| 0);
        outcomes.push(("like_version", alike));
        for (field, outcome) in outcomes {
            let refused = refusal(outcome);
            assert_eq!(
                (refused.code, refused.field.as_str()),
                (Code::InvalidArgument, field),
                "{selector:?}: {refused:?}"
            );
            assert!(refused.message.contains(message), "{refused:?}");
        }
    }
    let alike = TrainRequest {
        like_version: number(9),
        ..train_request("run", xy(normal_rows(50, 4)))
    };
    let mut outcomes = chosen(&mut client, number(9)).await;
    let alike = client.train(alike).await.map(|_| 0);
    outcomes.push(("like_version", alike));
    for (field, outcome) in outcomes {
        let refused = refusal(outcome);
        assert_eq!(
            (refused.reason.as_str(), refused.field.as_str()),
            ("VERSION_NOT_FOUND", field)
        );
    }
    // a refused training stores nothing
    let latest = chosen(&mut client, None).await;
    assert!(
        latest
            .into_iter()
            .all(|(_, version)| version.expect("there") == 2)
    );
    server.stop().await;
}
