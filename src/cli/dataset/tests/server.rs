//! The commands as users type them, against the real server.

use crate::cli::error::Error;
use crate::cli::typed::Case;

/// Rows of two columns around (50, 5), and one far away.
fn rows(n: u32) -> String {
    let mut csv = "x;y\n".to_owned();
    for row in 0..n {
        csv.push_str(&format!("{};{},5\n", 50 + row * 7 % 5, 4 + row * 3 % 2));
    }
    csv + "999;\n"
}

#[tokio::test]
async fn a_dataset_is_uploaded_once_and_used_by_every_command() {
    let case = Case::new().await;
    case.file("june.csv", &rows(40));
    let shown = case
        .run("dataset upload june.csv --id june --delimiter ; --decimal ,")
        .await
        .expect("it is stored");
    assert!(
        shown.contains("\"june\" is stored: 41 rows, 2 columns"),
        "{shown}"
    );
    assert!(shown.contains("number"), "{shown}");

    let error = case.run("dataset upload june.csv --id june").await;
    let error = error.expect_err("the id is taken");
    assert!(
        matches!(&error, Error::Status(s) if s.code() == tonic::Code::AlreadyExists),
        "{error:?}"
    );

    let shown = case.run("dataset combine june june --id both").await;
    assert!(
        shown.as_ref().is_ok_and(|s| s.contains("82 rows")),
        "{shown:?}"
    );
    let shown = case.run("dataset list").await.expect("lists");
    assert!(
        shown.contains("june") && shown.contains("arrow_ipc"),
        "{shown}"
    );
    let shown = case.run("dataset get june").await.expect("describes");
    assert!(
        shown.contains("SHA-256") && shown.contains("999"),
        "{shown}"
    );

    let shown = case.run("train r --dataset june --detector gaussian").await;
    assert!(
        shown.as_ref().is_ok_and(|s| s.contains("41 rows seen")),
        "{shown:?}"
    );
    let shown = case.run("update r --dataset both").await;
    assert!(
        shown.as_ref().is_ok_and(|s| s.contains("version 2")),
        "{shown:?}"
    );
    case.run("predict r --dataset june --out scored.csv")
        .await
        .expect("scores");
    let scored = std::fs::read_to_string(case.path("scored.csv")).expect("is there");
    assert_eq!(scored.lines().count(), 42);
    assert!(scored.starts_with("row,score,is_anomaly\n0,"), "{scored}");
    assert!(
        scored
            .lines()
            .last()
            .is_some_and(|line| line.ends_with(",1")),
        "{scored}"
    );

    let shown = case.run("dataset delete june --yes").await;
    assert_eq!(
        shown.ok().as_deref(),
        Some("dataset \"june\" is deleted, with 41 row(s)\n")
    );
    let error = case
        .run("predict r --dataset june")
        .await
        .expect_err("it is gone");
    assert!(
        matches!(&error, Error::Status(s) if s.code() == tonic::Code::NotFound),
        "{error:?}"
    );
    case.stop().await;
}
