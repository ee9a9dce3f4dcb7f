//! `predict` against a service in the same process, whose score of a row is its column `x`.

use std::path::Path;

use clap::Parser;
use clap::error::ErrorKind;
use http::HeaderMap;

use super::super::connect::{self, Client};
use super::*;
use crate::proto::v1::anomaly_service_server::AnomalyServiceServer;

mod fake;
mod pages;
mod server;

use fake::{ACTIVE_VERSION, DATASET, Fake, THRESHOLD};

fn parse(line: &[&str]) -> Result<PredictArgs, clap::Error> {
    #[derive(Parser)]
    struct Predict {
        #[command(flatten)]
        args: PredictArgs,
    }
    let words = ["predict"].iter().chain(line);
    Predict::try_parse_from(words).map(|predict| predict.args)
}

/// A folder with an input, and a server to run `predict` against.
struct Case {
    folder: tempfile::TempDir,
    fake: Fake,
}

impl Case {
    fn new(content: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("in.csv"), content).expect("writes");
        Self {
            folder,
            fake: Fake::default(),
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn args(&self, run: &str, options: &[&str]) -> PredictArgs {
        let out = self.path("out.csv");
        let options = options.iter().map(|option| match *option {
            "OUT" => out.to_str().expect("a path of text"),
            option => option,
        });
        let input = self.path("in.csv");
        let mut words = vec![run];
        if !options.clone().any(|option| option == "--dataset") {
            words.push(input.to_str().expect("a path of text"));
        }
        words.extend(options);
        parse(&words).expect("it parses")
    }

    fn client(&self) -> Client {
        let service = AnomalyServiceServer::new(self.fake.clone());
        connect::client(connect::with_headers(service, HeaderMap::new()))
    }

    async fn whole(&self, run: &str, options: &[&str]) -> Result<String, Error> {
        let args = self.args(run, options);
        let (request, whole) = args.read()?;
        let client = &mut self.client();
        let mut out = Vec::new();
        match &args.plot {
            Some(column) => {
                let column = series::Plotted::read(&whole, column)?;
                args.plotted(client, request, column, &mut out).await?;
            }
            None => args.whole(client, request, &whole, &mut out).await?,
        }
        Ok(String::from_utf8(out).expect("text"))
    }

    /// What is shown of the dataset, and the error after it, if any.
    async fn paged(&self, run: &str, options: &[&str]) -> (String, Result<(), Error>) {
        let options = [&["--dataset", DATASET.0], options].concat();
        let args = self.args(run, &options);
        let mut out = Vec::new();
        let done = match args.target() {
            Ok(target) => {
                let client = &mut self.client();
                args.paged(client, DATASET.0, target, &mut out).await
            }
            Err(error) => Err(error),
        };
        (String::from_utf8(out).expect("text"), done)
    }

    async fn streamed(
        &self,
        run: &str,
        options: &[&str],
        chunk: usize,
        batch: usize,
    ) -> Result<String, Error> {
        let args = self.args(run, options);
        let limits = |rows| Limits {
            rows,
            ..Limits::NONE
        };
        let upload = stream::Upload::open(&args)?.in_chunks(limits(chunk), limits(batch));
        let mut out = Vec::new();
        args.streamed(&mut self.client(), upload, &mut out).await?;
        Ok(String::from_utf8(out).expect("text"))
    }
}

/// Rows with a number, and a text with a line break and a quote in it.
fn table(rows: usize) -> (String, String) {
    let (mut input, mut expected) = (
        "text,x\n".to_owned(),
        "text,x,score,is_anomaly\n".to_owned(),
    );
    for row in 0..rows {
        let score = row as f64;
        let is_anomaly = u8::from(score > THRESHOLD);
        input.push_str(&format!("\"a\n\"\"b\"\"\",{row}\n"));
        expected.push_str(&format!("\"a\n\"\"b\"\"\",{row},{score:?},{is_anomaly}\n"));
    }
    (input, expected)
}

/// The default options of an answer.
fn answer(rows: AnswerRows) -> AnswerOptions {
    AnswerOptions {
        rows: rows.into(),
        detail: Detail::Score.into(),
        max_bytes: Some(64 << 20),
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("the file is there")
}

#[tokio::test]
async fn out_gives_every_row_its_score() {
    let (input, expected) = table(12);
    let case = Case::new(&input);
    let shown = case
        .whole("run", &["--drop", "text", "--out", "OUT"])
        .await
        .expect("scores");
    assert_eq!(read(&case.path("out.csv")), expected);
    assert!(shown.contains("6 of 12 (50.0%)"), "{shown}");
}

#[tokio::test]
async fn a_stream_with_out_gives_every_row_its_score_in_bounded_chunks() {
    for rows in [1, 9, 10, 20, 25] {
        let (input, expected) = table(rows);
        let case = Case::new(&input);
        let shown = case
            .streamed(
                "run",
                &["--stream", "--drop", "text", "--out", "OUT"],
                4,
                10,
            )
            .await
            .expect("scores");
        assert_eq!(read(&case.path("out.csv")), expected);
        assert!(shown.contains(&format!("of {rows} ")), "{shown}");

        let streams = case.fake.streams();
        assert_eq!(streams.len(), rows.div_ceil(10));
        for (index, (header, messages)) in streams.iter().enumerate() {
            // all streams use one version, whatever becomes active meanwhile
            let version = (index > 0).then(|| version::of_number(ACTIVE_VERSION));
            assert_eq!(header.version, version);
            assert_eq!(header.answer, Some(answer(AnswerRows::All)));
            assert!(messages.iter().all(|&rows| rows <= 4) && messages.iter().sum::<usize>() <= 10);
        }
    }
}

#[tokio::test]
async fn a_stream_without_out_is_one_stream() {
    let (input, _) = table(25);
    let case = Case::new(&input);
    let shown = case
        .streamed("run", &["--stream", "--drop", "text", "--json"], 4, 10)
        .await
        .expect("scores");
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("one object");
    let predictions = &shown["predictions"];
    assert_eq!(predictions["summary"]["n_rows"], 25);
    assert_eq!(predictions["row_indices"][18], 24);
    assert_eq!(predictions["scores"][18], 24.0);
    assert_eq!(predictions["truncated"], false);
    let streams = case.fake.streams();
    assert_eq!(streams.len(), 1);
    assert_eq!(streams[0].1.iter().sum::<usize>(), 25);
    assert_eq!(streams[0].0.answer, Some(answer(AnswerRows::Anomalies)));
}

#[tokio::test]
async fn an_error_in_the_file_is_reported_and_leaves_no_output() {
    let case = Case::new("x,y\n1,2\n3,4\n5\n6,7\n");
    let error = case
        .streamed("run", &["--stream", "--out", "OUT"], 1, 10)
        .await
        .expect_err("a ragged row");
    assert!(format!("{error:?}").contains("line 4"), "{error:?}");
    assert!(!case.path("out.csv").exists());
    assert!(case.fake.streams().is_empty());
}

#[tokio::test]
async fn the_error_of_the_server_is_reported() {
    let case = Case::new(&format!("x\n{}", "1\n".repeat(1000)));
    let error = case
        .streamed("missing", &["--stream"], 1, 10)
        .await
        .expect_err("no such run");
    assert!(
        matches!(&error, Error::Status(status) if status.message() == "no such run"),
        "{error:?}"
    );
}

#[tokio::test]
async fn scores_are_not_written_if_one_is_missing() {
    let case = Case::new("x\n1\n2\n");
    let error = case
        .whole("forgetful", &["--out", "OUT"])
        .await
        .expect_err("a score is missing");
    assert!(format!("{error:?}").contains("2 rows"), "{error:?}");
    assert!(!case.path("out.csv").exists());
}

#[tokio::test]
async fn the_most_anomalous_rows_are_shown_beside_their_cells() {
    let case = Case::new("x,name\n1,one\n9,nine\n7,seven\n");
    let shown = case.whole("run", &["--top", "2"]).await.expect("scores");
    let nine = shown.find("nine").expect("the highest score");
    let seven = shown.find("seven").expect("the second");
    assert!(nine < seven && !shown.contains("one"), "{shown}");
}

#[tokio::test]
async fn a_stream_shows_what_a_whole_file_shows() {
    let case = Case::new("text,x\none,1\nnine,9\nseven,7\n");
    // the fake service accepts no text column
    let drop = ["--drop", "text", "--top", "1"];
    let whole = case.whole("run", &drop).await.expect("scores");
    assert!(whole.contains("nine"), "{whole}");
    let streamed = [&drop[..], &["--stream"]].concat();
    let streamed = case.streamed("run", &streamed, 2, 10).await;
    assert_eq!(streamed.expect("scores"), whole);

    // ids have a column of their own
    let named = [&drop[..], &["--row-id-column", "text"]].concat();
    let shown = case.whole("run", &named).await.expect("scores");
    assert!(!shown.contains("text"), "{shown}");
}

#[tokio::test]
async fn ids_may_be_numbers_in_one_chunk_and_texts_in_another() {
    let case = Case::new("id,x\n1,5\n2,6\nlast,7\n");
    let options = ["--stream", "--row-id-column", "id"];
    case.streamed("run", &options, 1, 10).await.expect("scores");
    assert_eq!(case.fake.id_columns(), ["id", "id", "id"]);
}

#[test]
fn a_file_without_rows_is_refused_before_it_is_sent() {
    let case = Case::new("x,y\n");
    let error = stream::Upload::open(&case.args("run", &["--stream"])).err();
    assert!(format!("{error:?}").contains("no rows"), "{error:?}");
}

#[tokio::test]
async fn rows_with_engineered_features_are_one_stream() {
    let (input, expected) = table(25);
    let case = Case::new(&input);
    let options = ["--stream", "--drop", "text", "--out", "OUT"];
    case.streamed("engineered", &options, 4, 10)
        .await
        .expect("scores");
    assert_eq!(read(&case.path("out.csv")), expected);
    let streams = case.fake.streams();
    assert_eq!(streams.len(), 1);
    // room for a million scores
    let answer = streams[0].0.answer.expect("options");
    assert!(answer.max_bytes.expect("a bound") > 9 * 1_000_000 + (64 << 10));
}

#[tokio::test]
async fn a_plot_shows_each_series_and_its_segments() {
    let mut input = "when,sensor,x\n".to_owned();
    for hour in 0..20 {
        let high = if (7..9).contains(&hour) { 9.0 } else { 1.0 };
        input.push_str(&format!("t{hour},left,{high}\nt{hour},right,2\n"));
    }
    let case = Case::new(&input);
    let shown = case.whole("run", &["--plot", "x"]).await.expect("plots");
    for expected in ["x of left;", "x of right;", "1 flagged segments"] {
        assert!(shown.contains(expected), "{expected} in {shown}");
    }
    let words: Vec<&str> = shown.split_whitespace().collect();
    let segment = ["left", "┆", "t7", "┆", "t8", "┆", "2", "┆", "9"];
    assert!(
        words.windows(segment.len()).any(|words| words == segment),
        "{shown}"
    );
    for (column, expected) in [("y", "no column"), ("when", "no numbers")] {
        let error = case
            .whole("run", &["--plot", column])
            .await
            .expect_err(column);
        assert!(format!("{error:?}").contains(expected), "{error:?}");
    }
}

#[tokio::test]
async fn only_csv_is_streamed_and_plotted() {
    let case = Case::new("[{\"x\": 1}]");
    let error = stream::Upload::open(&case.args("run", &["--stream"])).err();
    assert!(format!("{error:?}").contains("only CSV"), "{error:?}");
    let error = case.whole("run", &["--plot", "x"]).await.expect_err("JSON");
    assert_eq!(error.exit_code(), Some(2));
}

#[test]
fn options_of_a_file_are_refused_for_a_dataset() {
    for other in [
        "in.csv",
        "--stream",
        "--plot=x",
        "--drop=x",
        "--delimiter=;",
        "--format=csv",
    ] {
        let error = parse(&["run", "--dataset", "june", other]).expect_err(other);
        assert_eq!(error.kind(), ErrorKind::ArgumentConflict, "{error}");
        assert!(error.to_string().contains("--dataset"), "{error}");
    }
    let error = parse(&["run", "in.csv", "--first-row", "3"]).expect_err("a file");
    assert_eq!(error.kind(), ErrorKind::ArgumentConflict, "{error}");
    let error = parse(&["run", "--first-row", "3"]).expect_err("no dataset");
    assert_eq!(error.kind(), ErrorKind::MissingRequiredArgument, "{error}");
    let neither = parse(&["run"]).expect("it parses");
    let error = neither.read().expect_err("neither");
    assert!(format!("{error:?}").contains("--dataset"), "{error:?}");
    assert_eq!(error.exit_code(), Some(2));
    let streamed = parse(&["run", "--stream"]).expect("it parses");
    let error = stream::Upload::open(&streamed).err().expect("no file");
    assert_eq!(error.exit_code(), Some(2));
}

#[tokio::test]
async fn rows_detail_and_version_reach_the_server() {
    let case = Case::new("x\n1\n9\n7\n");
    let shown = case
        .whole(
            "run",
            &["--rows", "anomalies", "--detail", "full", "--version", "3"],
        )
        .await
        .expect("scores");
    assert!(shown.contains("2 of 3 (66.7%)"), "{shown}");
    case.whole("run", &["--version", "active"])
        .await
        .expect("scores");
    let files = case.fake.files();
    let asked = AnswerOptions {
        detail: Detail::Full.into(),
        ..answer(AnswerRows::Anomalies)
    };
    assert_eq!(files[0].answer, Some(asked));
    assert_eq!(files[0].version, Some(version::of_number(3)));
    assert_eq!(files[1].answer, Some(answer(AnswerRows::All)));
    assert_eq!(files[1].version, version::selector("active").ok());
    for other in ["--rows=all", "--detail=score"] {
        for option in ["--out=o", "--plot=x"] {
            let error = parse(&["run", "f", option, other]).expect_err(other);
            assert_eq!(error.kind(), ErrorKind::ArgumentConflict, "{error}");
        }
    }
    assert!(parse(&["run", "f", "--rows", "some"]).is_err());
}

#[tokio::test]
async fn the_row_id_column_reaches_the_server() {
    let case = Case::new("text,x\na,1\nb,9\n");
    let named = |records: &Option<Records>| records.as_ref().map(|r| r.row_id_column.clone());
    // the fake service accepts no text column, so the ids are dropped here
    let options = ["--drop", "text", "--row-id-column", "text"];
    case.whole("run", &options).await.expect("scores");
    assert_eq!(
        named(&case.fake.files()[0].records),
        Some("text".to_owned())
    );
    case.streamed("run", &[&options[..], &["--stream"]].concat(), 4, 10)
        .await
        .expect("scores");
    assert_eq!(case.fake.id_columns(), ["text"]);
}
