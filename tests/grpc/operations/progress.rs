//! Progress: what is shown of an operation only grows.

use anomalyd::proto::v1::{Operation, OperationStage, TrainRequest};

use super::{Operations, server};
use crate::grpc::datasets;
use crate::grpc::harness::{in_form, train_request, trained};
use anomalyd::proto::v1::records::Form;

/// More values than a training holds in memory.
const ROWS: u64 = 400_000;

#[tokio::test(flavor = "multi_thread")]
async fn progress_only_grows_over_all_passes() {
    let (server, _folder) = server(|_| {}).await;
    let operations = Operations::of(&server, "alice").await;
    let mut content = String::from("a,b,c,d,e,f\n");
    for row in 0..ROWS {
        let (a, b) = (row * 7919 % 1009, row * 104_729 % 997);
        content.push_str(&format!(
            "{a},{b},{},{},{},{}\n",
            a % 7,
            b % 5,
            a % 3,
            b % 2
        ));
    }
    let mut client = datasets::client(&server, "alice").await;
    datasets::upload(&mut client, "rows", content.as_bytes())
        .await
        .expect("is stored");

    let training = TrainRequest {
        request_id: "watched".to_owned(),
        ..train_request("run", in_form(Form::DatasetId("rows".to_owned())))
    };
    let mut client = server.client("alice").await;
    let call = tokio::spawn(async move { trained(&mut client, training).await });
    let mut seen: Vec<Operation> = Vec::new();
    loop {
        match operations.of_request("watched").await {
            Ok(operation) if operation.end_time.is_some() => break,
            Ok(operation) => seen.push(operation),
            // it has not begun
            Err(_) => {}
        }
    }
    assert_eq!(call.await.expect("no panic").n_rows, ROWS);

    let reached = seen.iter().filter_map(|operation| operation.progress);
    let reached: Vec<_> = reached.collect();
    for pair in reached.windows(2) {
        let key = |at: usize| (pair[at].step, pair[at].fraction.unwrap_or(0.0));
        assert!(key(0) <= key(1), "{pair:?}");
        let rows = |at: usize| (pair[at].step, pair[at].n_rows_done);
        assert!(rows(0) <= rows(1), "{pair:?}");
    }
    for reached in &reached {
        assert_ne!(reached.stage(), OperationStage::Unspecified);
        assert!(
            reached
                .fraction
                .is_none_or(|share| (0.0..=1.0).contains(&share))
        );
        assert!(reached.n_rows_done <= reached.n_rows, "{reached:?}");
    }
    // some seconds of work were seen
    let passes = reached
        .iter()
        .filter(|reached| reached.n_rows == Some(ROWS));
    assert!(passes.count() > 0, "{reached:?}");
    server.stop().await;
}
