use tonic::Code;
use tonic_health::pb::health_client::HealthClient;

use crate::server::support::{PREDICT, Running, call, channel, hasher, predict, predict_as};

#[tokio::test]
async fn a_token_becomes_its_owner_and_goes_no_further() {
    let server = Running::start(&[]).await;
    let owner = format!("{:?}", hasher().owner_of(b"alice"));
    assert_eq!(
        predict_as(server.addr, "alice", "owner").await.echo(),
        owner
    );
    assert_ne!(predict_as(server.addr, "bob", "owner").await.echo(), owner);
    assert_eq!(
        predict_as(server.addr, "alice", "leaks").await.echo(),
        "false"
    );
    let lower = call(
        server.addr,
        PREDICT,
        &[("authorization", "bearer alice")],
        predict("owner"),
    )
    .await;
    assert_eq!(lower.echo(), owner);
}

#[tokio::test]
async fn requests_without_a_usable_token_are_refused() {
    let server = Running::start(&[]).await;
    let overlong = format!("Bearer {}", "x".repeat(4097));
    let twice = [("authorization", "Bearer a"), ("authorization", "Bearer b")];
    for headers in [
        &[][..],
        &[("authorization", "")],
        &[("authorization", "Bearer")],
        &[("authorization", "Bearer ")],
        &[("authorization", "Basic dTpw")],
        &[("authorization", "Bearer a b")],
        &[("authorization", overlong.as_str())],
        &twice,
    ] {
        let answer = call(server.addr, PREDICT, headers, predict("owner")).await;
        assert_eq!(answer.status().code(), Code::Unauthenticated, "{headers:?}");
        assert_eq!(answer.reason(), "MISSING_TOKEN");
        assert!(
            answer
                .status()
                .message()
                .contains("authorization: Bearer <token>")
        );
    }
}

#[tokio::test]
async fn anonymous_requests_share_one_owner_but_malformed_tokens_are_refused() {
    let server = Running::start(&["--allow-anonymous"]).await;
    let owner = format!("{:?}", hasher().anonymous());
    assert_eq!(
        call(server.addr, PREDICT, &[], predict("owner"))
            .await
            .echo(),
        owner
    );
    assert_ne!(
        predict_as(server.addr, "alice", "owner").await.echo(),
        owner
    );
    let answer = call(
        server.addr,
        PREDICT,
        &[("authorization", "Basic x")],
        predict("owner"),
    )
    .await;
    assert_eq!(answer.status().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn health_needs_no_token() {
    let server = Running::start(&[]).await;
    let mut client = HealthClient::new(channel(server.addr).await);
    for service in ["", "anomaly.v1.AnomalyService", "anomaly.v1.DatasetService"] {
        let request = tonic_health::pb::HealthCheckRequest {
            service: service.to_owned(),
        };
        let response = client.check(request).await.expect("check").into_inner();
        assert_eq!(
            response.status(),
            tonic_health::pb::health_check_response::ServingStatus::Serving
        );
    }
}
