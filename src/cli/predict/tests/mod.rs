//! `predict` against a service in the same process, whose score of a row is its column `x`.

use std::path::Path;

use clap::Parser;
use clap::error::ErrorKind;
use http::HeaderMap;

use super::super::connect::{self, Client};
use super::*;
use crate::proto::v1::anomaly_service_server::AnomalyServiceServer;

mod fake;

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

/// A folder with an input, and what is needed to run `predict` on it.
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
        let mut out = Vec::new();
        match (&args.plot, &whole) {
            (Some(column), Some(whole)) => {
                let column = series::Column::read(whole, column)?;
                args.plotted(&mut self.client(), request, column, &mut out)
                    .await?;
            }
            _ => {
                args.whole(&mut self.client(), request, whole.as_ref(), &mut out)
                    .await?
            }
        }
        Ok(String::from_utf8(out).expect("text"))
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
        let upload = stream::Upload::open(&args)?.in_pieces(limits(chunk), limits(batch));
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
async fn a_stream_with_out_gives_every_row_its_score_in_bounded_pieces() {
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
            // one version for the whole file, whatever becomes active meanwhile
            assert_eq!(header.version, if index == 0 { 0 } else { ACTIVE_VERSION });
            assert_eq!(header.detail(), Detail::Scores);
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
    let answer: serde_json::Value = serde_json::from_str(&shown).expect("one object");
    assert_eq!(answer["summary"]["n_rows"], 25);
    assert_eq!(answer["scores"][24], 24.0);
    assert_eq!(answer["truncated"], false);
    let streams = case.fake.streams();
    assert_eq!(streams.len(), 1);
    assert_eq!(streams[0].1.iter().sum::<usize>(), 25);
    assert_eq!(streams[0].0.detail(), Detail::Anomalies);
}

#[tokio::test]
async fn a_file_that_breaks_off_is_the_error_and_leaves_no_output() {
    let case = Case::new("x,y\n1,2\n3,4\n5\n6,7\n");
    let error = case
        .streamed("run", &["--stream", "--out", "OUT"], 1, 10)
        .await
        .expect_err("a ragged row");
    assert!(format!("{error:?}").contains("line: 4"), "{error:?}");
    assert!(!case.path("out.csv").exists());
    assert!(case.fake.streams().is_empty());
}

#[tokio::test]
async fn the_servers_refusal_is_the_error() {
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
async fn scores_that_do_not_match_the_rows_are_never_written() {
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

#[test]
fn a_file_without_rows_is_refused_before_it_is_sent() {
    let case = Case::new("x,y\n");
    let error = stream::Upload::open(&case.args("run", &["--stream"])).err();
    assert!(format!("{error:?}").contains("no rows"), "{error:?}");
}

#[tokio::test]
async fn rows_that_depend_on_those_before_are_one_stream() {
    let (input, expected) = table(25);
    let case = Case::new(&input);
    let options = ["--stream", "--drop", "text", "--out", "OUT"];
    case.streamed("engineered", &options, 4, 10)
        .await
        .expect("scores");
    assert_eq!(read(&case.path("out.csv")), expected);
    let streams = case.fake.streams();
    assert_eq!(streams.len(), 1);
    assert_eq!(streams[0].0.max_results, Some(1_000_000));
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
async fn only_csv_is_cut() {
    let case = Case::new("[{\"x\": 1}]");
    let error = stream::Upload::open(&case.args("run", &["--stream"])).err();
    assert!(format!("{error:?}").contains("only CSV"), "{error:?}");
    let error = case.whole("run", &["--plot", "x"]).await.expect_err("JSON");
    assert_eq!(error.exit_code(), Some(2));
}

#[tokio::test]
async fn a_dataset_is_scored_in_the_place_of_a_file() {
    let case = Case::new("");
    let dataset = ["--dataset", DATASET.0];
    let shown = case
        .whole("run", &[&dataset[..], &["--top", "1"]].concat())
        .await
        .expect("scores");
    assert!(shown.contains("2 of 3 (66.7%)"), "{shown}");
    let out = [&dataset[..], &["--out", "OUT"]].concat();
    case.whole("run", &out).await.expect("scores");
    assert_eq!(
        read(&case.path("out.csv")),
        "row,score,is_anomaly\n0,1.0,0\n1,9.0,1\n2,7.0,1\n"
    );
}

#[test]
fn what_is_said_of_a_file_is_not_said_of_a_dataset() {
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
    let neither = parse(&["run"]).expect("it parses");
    let error = neither.read().expect_err("neither");
    assert!(format!("{error:?}").contains("--dataset"), "{error:?}");
    assert_eq!(error.exit_code(), Some(2));
    let streamed = parse(&["run", "--stream"]).expect("it parses");
    let error = stream::Upload::open(&streamed).err().expect("no file");
    assert_eq!(error.exit_code(), Some(2));
}
