//! Predictions for datasets, page by page.

use super::*;

#[tokio::test]
async fn every_row_of_every_page_is_written() {
    let case = Case::new("");
    let (shown, done) = case.paged("run", &["--out", "OUT"]).await;
    done.expect("scores");
    assert!(shown.contains("3 of 5 (60.0%)"), "{shown}");
    assert_eq!(
        read(&case.path("out.csv")),
        "row,score,is_anomaly\n0,1.0,0\n1,9.0,1\n2,7.0,1\n3,2.0,0\n4,8.0,1\n"
    );
    let asked = &case.fake.datasets()[0];
    // the server decides the size of pages
    let page = AnswerOptions {
        max_bytes: None,
        ..answer(AnswerRows::All)
    };
    assert_eq!(asked.answer, Some(page));
    assert_eq!((asked.first_row, &asked.version), (0, &None));
}

#[tokio::test]
async fn the_most_anomalous_rows_of_all_pages_are_shown() {
    let case = Case::new("");
    for options in [&["--top", "2"][..], &["--top", "2", "--rows", "anomalies"]] {
        let (shown, done) = case.paged("run", options).await;
        done.expect("scores");
        let rows: Vec<&str> = shown.lines().filter(|line| line.contains("yes")).collect();
        assert_eq!(rows.len(), 2, "{shown}");
        assert!(rows[0].starts_with("│   1 ┆     9"), "{shown}");
        assert!(rows[1].starts_with("│   4 ┆     8"), "{shown}");
    }
}

#[tokio::test]
async fn each_page_is_a_line_of_json() {
    let case = Case::new("");
    let (shown, done) = case.paged("run", &["--json", "--rows", "anomalies"]).await;
    done.expect("scores");
    let pages: Vec<serde_json::Value> = shown
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(pages.len(), 3);
    assert_eq!(pages[1]["first_row"], 2);
    assert_eq!(
        pages[1]["predictions"]["row_indices"],
        serde_json::json!([2])
    );
    assert_eq!(pages[2]["next_row"], pages[2]["n_rows"]);
}

#[tokio::test]
async fn ids_are_shown_and_written_with_the_rows() {
    let case = Case::new("");
    let id = ["--row-id-column", "name"];
    let (shown, done) = case
        .paged("run", &[&id[..], &["--top", "1"]].concat())
        .await;
    done.expect("scores");
    assert!(shown.contains("id 1") && !shown.contains("id 2"), "{shown}");
    let (_, done) = case
        .paged("run", &[&id[..], &["--out", "OUT"]].concat())
        .await;
    done.expect("scores");
    let written = read(&case.path("out.csv"));
    assert!(
        written.starts_with("row,row_id,score,is_anomaly\n0,id 0,1.0,0\n"),
        "{written}"
    );
    assert_eq!(case.fake.datasets()[1].row_id_column, "name");
}

#[tokio::test]
async fn after_a_broken_connection_the_rows_are_kept_and_the_rest_can_be_scored() {
    let case = Case::new("");
    let (_, done) = case.paged("broken", &["--out", "OUT"]).await;
    let error = done.expect_err("it breaks");
    let mut report = Vec::new();
    error
        .report(&mut report)
        .expect("a vector takes everything");
    let report = String::from_utf8(report).expect("text");
    for expected in [
        "the connection broke",
        "holds rows 0 to 1",
        "--first-row 2 --version 7",
    ] {
        assert!(report.contains(expected), "{expected} in {report}");
    }
    assert_eq!(
        read(&case.path("out.csv")),
        "row,score,is_anomaly\n0,1.0,0\n1,9.0,1\n"
    );

    let rest = ["--first-row", "2", "--version", "7", "--out"];
    // the rows of the first part are not overwritten
    let (_, done) = case.paged("run", &[&rest[..], &["OUT"]].concat()).await;
    assert_eq!(done.expect_err("it is there").exit_code(), Some(2));
    let path = case.path("rest.csv");
    let path = path.to_str().expect("a path of text");
    let (_, done) = case.paged("run", &[&rest[..], &[path]].concat()).await;
    done.expect("scores");
    assert_eq!(
        read(&case.path("rest.csv")),
        "row,score,is_anomaly\n2,7.0,1\n3,2.0,0\n4,8.0,1\n"
    );
    let asked = case.fake.datasets();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1].version, Some(version::of_number(7)));
}

#[tokio::test]
async fn after_a_broken_connection_a_table_says_how_to_continue() {
    let case = Case::new("");
    let (shown, done) = case.paged("broken", &[]).await;
    let error = done.expect_err("it breaks");
    assert!(
        matches!(&error, Error::BrokenOff { rest, .. } if rest.contains("--first-row 2")),
        "{error:?}"
    );
    assert!(shown.contains("1 of 2 (50.0%)"), "{shown}");
    // if nothing was scored, there is nothing to continue from
    let args = case.args("run", &["--dataset", "july"]);
    let target = args.target().expect("a table");
    let (client, out) = (&mut case.client(), &mut Vec::new());
    let done = args.paged(client, "july", target, out).await;
    assert!(matches!(done, Err(Error::Status(_))));
}

#[tokio::test]
async fn pages_that_are_missing_or_repeated_are_noticed() {
    let case = Case::new("");
    let (_, done) = case.paged("short", &["--out", "OUT"]).await;
    let error = done.expect_err("a page is missing");
    assert!(
        matches!(&error, Error::BrokenOff { rest, .. } if rest.contains("--first-row 4")),
        "{error:?}"
    );
    let (_, done) = case.paged("repeating", &[]).await;
    let error = done.expect_err("a page came twice");
    assert!(format!("{error:?}").contains("row 2 was next"), "{error:?}");
}
