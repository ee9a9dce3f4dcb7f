//! `dataset` against a service in the same process that records its requests.

use std::io::{self, Cursor, Read};

use clap::Parser;
use http::HeaderMap;
use sha2::{Digest, Sha256};

use super::super::input::Source;
use super::upload::UploadArgs;
use super::*;
use crate::cli::error::Error;
use crate::proto::v1::dataset_service_server::DatasetServiceServer;
use crate::proto::v1::{CsvOptions, FileFormat};

mod fake;
mod server;

use fake::Fake;

#[derive(Parser)]
struct DatasetLine {
    #[command(subcommand)]
    command: DatasetCommand,
}

fn parse(line: &[&str]) -> Result<DatasetCommand, clap::Error> {
    let words = ["dataset"].iter().chain(line);
    DatasetLine::try_parse_from(words).map(|line| line.command)
}

fn transport(fake: &Fake) -> Transport {
    let service = DatasetServiceServer::new(fake.clone());
    connect::with_headers(service, HeaderMap::new())
}

/// Uploads what a source gives, in chunks of 7 bytes.
async fn upload(fake: &Fake, source: Source, options: &[&str]) -> Result<String> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().to_str().expect("a path of text");
    let line = [&["upload", path], options].concat();
    let Ok(DatasetCommand::Upload(args)) = parse(&line) else {
        panic!("{line:?} is an upload");
    };
    let args: &UploadArgs = &args;
    let upload = args.open()?.in_chunks(source, 7);
    let mut out = Vec::new();
    args.run(transport(fake), upload, &mut out).await?;
    Ok(String::from_utf8(out).expect("text"))
}

/// Runs a command that makes one call.
async fn run(line: &[&str]) -> Result<String> {
    let mut out = Vec::new();
    let transport = transport(&Fake::default());
    let client = &mut connect::dataset_client(transport.clone());
    match parse(line).expect("it parses") {
        DatasetCommand::Combine(args) => args.run(transport, &mut out).await?,
        DatasetCommand::List(args) => args.run(client, &mut out).await?,
        DatasetCommand::Get(args) => args.run(client, &mut out).await?,
        other => panic!("{other:?} is not asked here"),
    }
    Ok(String::from_utf8(out).expect("text"))
}

/// Yields so many bytes, then fails.
struct Broken(u64);

impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0 {
            0 => Err(io::Error::other("the disk is gone")),
            left => {
                let n = io::repeat(b'1').take(left).read(buffer)?;
                self.0 -= n as u64;
                Ok(n)
            }
        }
    }
}

#[tokio::test]
async fn a_file_arrives_in_chunks_with_its_checksum_and_options() {
    let content: Vec<u8> = (0..=255).cycle().take(700).collect();
    for length in [0, 1, 7, 8, 700] {
        let fake = Fake::default();
        let source = Box::new(Cursor::new(content[..length].to_vec()));
        let options = "--id june --request-id k --format csv --delimiter ; --text-column zip";
        let words: Vec<&str> = options.split(' ').collect();
        let shown = upload(&fake, source, &words).await.expect("it is stored");
        assert!(
            shown.starts_with("dataset \"june\" is stored: 4 rows"),
            "{shown}"
        );

        let [seen] = &fake.uploads()[..] else {
            panic!("one upload");
        };
        assert_eq!(seen.content, content[..length]);
        assert_eq!(seen.n_chunks, length.div_ceil(7));
        assert_eq!(seen.end.sha256, Sha256::digest(&content[..length]).to_vec());
        assert_eq!(seen.end.size_bytes, Some(length as u64));
        assert_eq!(
            (
                seen.header.dataset_id.as_str(),
                seen.header.request_id.as_str()
            ),
            ("june", "k")
        );
        assert_eq!(seen.header.format(), FileFormat::Csv);
        let csv = CsvOptions {
            delimiter: ";".to_owned(),
            decimal: ".".to_owned(),
            text_columns: vec!["zip".to_owned()],
            ..CsvOptions::default()
        };
        assert_eq!(seen.header.csv, Some(csv));
    }
}

#[tokio::test]
async fn an_error_in_reading_the_file_is_reported_and_nothing_is_stored() {
    let fake = Fake::default();
    let error = upload(&fake, Box::new(Broken(100)), &[]).await;
    let error = format!("{:?}", error.expect_err("it breaks off"));
    assert!(error.contains("the disk is gone"), "{error}");
    assert!(fake.uploads().is_empty());
}

#[tokio::test]
async fn an_early_answer_ends_an_endless_upload() {
    let fake = Fake::default();
    let endless = || Box::new(io::repeat(b'1'));
    let error = upload(&fake, endless(), &["--id", "taken"]).await;
    assert!(
        matches!(&error, Err(Error::Status(status)) if status.message() == "there is a dataset of this id"),
        "{error:?}"
    );
    let shown = upload(&fake, endless(), &["--id", "made before", "--json"]).await;
    let answer: serde_json::Value =
        serde_json::from_str(&shown.expect("it is there")).expect("one object");
    assert_eq!(answer["dataset"]["dataset_id"], "made before");
}

#[test]
fn a_file_that_cannot_be_opened_is_reported_before_any_call() {
    let Ok(DatasetCommand::Upload(args)) = parse(&["upload", "/nonexistent/x.csv"]) else {
        panic!("an upload");
    };
    let error = args.open().err().expect("it is not there");
    assert!(
        format!("{error:?}").contains("/nonexistent/x.csv"),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_datasets_to_combine_reach_the_server_in_order() {
    let line = [
        "combine",
        "june",
        "may",
        "june",
        "--id",
        "all",
        "--request-id",
        "k",
        "--json",
    ];
    let answer: serde_json::Value =
        serde_json::from_str(&run(&line).await.expect("combines")).expect("one object");
    assert_eq!(answer["dataset"]["dataset_id"], "all=june+may+june, k");
    assert!(parse(&["combine"]).is_err() && parse(&["combine", "--id", "all"]).is_err());
}

#[tokio::test]
async fn all_pages_are_listed() {
    let shown = run(&["list"]).await.expect("lists");
    assert!(shown.contains("june") && shown.contains("july"), "{shown}");
    let answer: serde_json::Value =
        serde_json::from_str(&run(&["list", "--json"]).await.expect("lists")).expect("one object");
    assert_eq!(answer["datasets"][1]["dataset_id"], "july");
    assert_eq!(answer["next_page_token"], "");
}

#[tokio::test]
async fn an_answer_without_a_dataset_is_an_error() {
    let error = run(&["get", "june"]).await.expect_err("nothing to show");
    assert!(
        format!("{error:?}").contains("without a dataset"),
        "{error:?}"
    );
}
