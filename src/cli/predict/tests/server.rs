//! The same file sent to the real server whole, in chunks and as a dataset.

use crate::cli::error::Error;
use crate::cli::typed::Case;

/// A server with a run `r`, which knows a number `x` and a text `kind`.
async fn trained() -> Case {
    let case = Case::new().await;
    let mut rows = "x,kind\n".to_owned();
    for row in 0..40 {
        let kind = ["a", "a", "\" a\"", "7"][row % 4];
        rows.push_str(&format!("{},{kind}\n", row % 5));
    }
    case.file("train.csv", &rows);
    let learned = case.run("train r train.csv --detector gaussian").await;
    learned.expect("it learns");
    case
}

/// The scores of all rows, as text.
async fn scores(case: &Case, line: &str) -> Result<Vec<String>, Error> {
    let json = case.run(line).await?;
    let answer: serde_json::Value = serde_json::from_str(&json).expect("one object");
    let scores = answer["predictions"]["scores"]
        .as_array()
        .expect("a score for each row");
    Ok(scores.iter().map(ToString::to_string).collect())
}

#[tokio::test]
async fn a_row_has_one_score_whole_in_chunks_and_in_a_dataset() {
    let case = trained().await;
    let file = "x,kind\n3,\" a\"\n3,a\n3, a\n1,7\n2,\n4,\"7\"\n9,\"b\n\"\"\"\n";
    case.file("rows.csv", file);
    case.run("dataset upload rows.csv --id rows")
        .await
        .expect("it is stored");
    let whole = scores(&case, "predict r rows.csv --json")
        .await
        .expect("scores");
    assert_eq!(whole.len(), 7);
    assert_ne!(whole[0], whole[1], "a space in quotes is part of a text");
    assert_eq!(whole[1], whole[2], "one without quotes is not");
    for other in [
        "predict r rows.csv --stream --rows all --detail score --json",
        "predict r --dataset rows --json",
    ] {
        assert_eq!(scores(&case, other).await.expect(other), whole, "{other}");
    }
    // a dropped column changes nothing, whatever its cells look like
    case.file("more.csv", "note,x,kind\n1,3,\" a\"\n\"#,\",3,a\nx,3, a\n");
    for how in ["", " --stream --rows all --detail score"] {
        let line = format!("predict r more.csv --drop note --json{how}");
        assert_eq!(scores(&case, &line).await.expect("scores"), whole[..3]);
    }
    case.stop().await;
}

#[tokio::test]
async fn a_file_that_is_refused_whole_is_refused_in_chunks_and_as_a_dataset() {
    let case = trained().await;
    for (file, what) in [
        (
            "x,kind\n3,\"a\n3,a\n",
            "line 2: a quote is opened and never closed",
        ),
        ("x,kind\n3,a\n3\n", "line 3: 1 cell"),
        (
            "x,kind\n3,a\nb,a\n",
            "line 3, column \"x\": \"b\" is not a number",
        ),
        (
            "x,kind,more\n3,a,1\n3,a,b\n",
            "line 3, column \"more\": \"b\" is not a number",
        ),
    ] {
        case.file("rows.csv", file);
        for line in [
            "predict r rows.csv",
            "predict r rows.csv --stream",
            "dataset upload rows.csv --id rows",
        ] {
            let error = case.run(line).await.expect_err(line);
            let mut shown = Vec::new();
            error.report(&mut shown).expect("to memory");
            let shown = String::from_utf8(shown).expect("text");
            assert!(shown.contains(what), "{line}: {shown}");
        }
    }
    case.stop().await;
}

#[tokio::test]
async fn the_file_to_score_is_not_overwritten() {
    let case = trained().await;
    let rows = "x,kind\n3,a\n";
    case.file("rows.csv", rows);
    for line in [
        "predict r rows.csv --out rows.csv",
        "predict r rows.csv --out ./rows.csv",
        "predict r rows.csv --stream --out rows.csv",
    ] {
        let error = case.run(line).await.expect_err(line);
        assert_eq!(error.exit_code(), Some(2), "{error:?}");
        let kept = std::fs::read_to_string(case.path("rows.csv")).expect("is there");
        assert_eq!(kept, rows, "{line}");
    }
    case.run("predict r rows.csv --out scored.csv")
        .await
        .expect("another file is written");
    case.stop().await;
}

#[tokio::test]
async fn the_feature_with_the_largest_z_score_is_named() {
    let case = trained().await;
    case.file("rows.csv", "x,kind\n2,a\n900,a\n");
    case.run("dataset upload rows.csv --id rows")
        .await
        .expect("it is stored");
    for line in [
        "predict r rows.csv --detail full --top 1",
        "predict r rows.csv --stream --detail full --top 1",
        "predict r --dataset rows --detail full --top 1",
    ] {
        let shown = case.run(line).await.expect(line);
        let cells = |line: &str| -> Vec<String> {
            let cells = line.split(['│', '┆']);
            cells.map(|cell| cell.trim().to_owned()).collect()
        };
        let mut lines = shown.lines().map(cells);
        let header = lines
            .find(|cells| cells.iter().any(|cell| cell == "feature"))
            .unwrap_or_else(|| panic!("{line}: {shown}"));
        let place = header.iter().position(|cell| cell == "feature");
        let row = lines.nth(1).expect("a row below the rule");
        assert_eq!(row[place.expect("found")], "x", "{line}: {shown}");
    }
    case.stop().await;
}
