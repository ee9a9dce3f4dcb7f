//! UploadDataset: stores the whole file, or nothing.

use std::time::{Duration, Instant};

use anomalyd::proto::v1::upload_dataset_request::Part;
use anomalyd::proto::v1::{
    ColumnType, CsvOptions, FileFormat, ListDatasetsRequest, UploadDatasetEnd, UploadDatasetHeader,
    UploadDatasetRequest,
};
use sha2::{Digest as _, Sha256};
use tokio_stream::StreamExt as _;
use tonic::Code;

use super::{
    chunk, client, end, files, get, header, messages, n_files, part, send, server, until_files,
    upload,
};
use crate::grpc::harness::{Server, refusal};

#[tokio::test]
async fn every_format_in_chunks_of_any_size_is_the_same_table() {
    let (server, mut client, _folder) = server().await;
    for (index, (format, content)) in files::all().into_iter().enumerate() {
        for chunk_bytes in [1, 7, 1 << 20] {
            let id = format!("{index}-{chunk_bytes}");
            let sent = messages(header(&id), &content, chunk_bytes);
            let dataset = send(&mut client, sent).await.expect("uploads");
            assert_eq!(get(&mut client, &id).await.expect("is there"), dataset);
            assert_eq!(dataset.dataset_id, id);
            assert_eq!(dataset.format().as_str_name(), format);
            assert_eq!((dataset.n_rows, dataset.n_columns), (4, 3));
            assert_eq!(dataset.size_bytes, content.len() as u64);
            assert_eq!(dataset.sha256, Sha256::digest(&content).to_vec());
            assert!(dataset.create_time.is_some());

            let [amount, ok, shop] = &dataset.columns[..] else {
                panic!("{dataset:?}");
            };
            let names = [amount, ok, shop].map(|column| column.name.as_str());
            assert_eq!(names, ["amount", "ok", "shop"]);
            let types = [amount, ok, shop].map(|column| column.r#type());
            let expected = [ColumnType::Number, ColumnType::Boolean, ColumnType::Text];
            assert_eq!(types, expected, "{id}");
            assert_eq!((amount.n_values, amount.n_missing), (Some(3), Some(1)));
            assert_eq!((amount.mean, amount.std), (Some(3.0), Some(1.5)));
            assert_eq!((amount.min, amount.max), (Some(1.5), Some(4.5)));
            assert_eq!((amount.n_infinite, amount.n_distinct), (Some(0), None));
            assert_eq!(ok.mean, Some(0.75));
            assert_eq!((shop.n_distinct, shop.mean), (Some(3), None));
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn an_incomplete_upload_is_not_stored() {
    let (server, mut client, folder) = server().await;
    let content = files::csv();
    let head = || part(Part::Header(header("half")));
    let all = || chunk(0, &content);
    let end_of = |sha256: Vec<u8>, size_bytes| {
        part(Part::End(UploadDatasetEnd {
            sha256: sha256.into(),
            size_bytes,
        }))
    };
    let sha256 = || Sha256::digest(&content).to_vec();
    let (first, second) = content.split_at(20);
    let nothing = UploadDatasetRequest { part: None };
    for (what, messages, reason, field) in [
        ("empty", vec![], "INVALID_STREAM", "part"),
        (
            "no header",
            vec![all(), end(&content)],
            "INVALID_STREAM",
            "part",
        ),
        ("no end", vec![head(), all()], "INVALID_STREAM", "part"),
        (
            "two headers",
            vec![head(), head(), all(), end(&content)],
            "INVALID_STREAM",
            "part",
        ),
        (
            "no part",
            vec![head(), nothing, all(), end(&content)],
            "INVALID_STREAM",
            "part",
        ),
        (
            "behind the end",
            vec![head(), all(), end(&content), chunk(content.len(), b"1")],
            "INVALID_STREAM",
            "part",
        ),
        (
            "swapped",
            vec![head(), chunk(20, second), chunk(0, first), end(&content)],
            "INVALID_STREAM",
            "chunk.offset",
        ),
        (
            "repeated",
            vec![head(), chunk(0, first), chunk(0, first), end(&content)],
            "INVALID_STREAM",
            "chunk.offset",
        ),
        (
            "lost",
            vec![head(), chunk(20, second), end(&content)],
            "INVALID_STREAM",
            "chunk.offset",
        ),
        (
            "cut",
            vec![head(), chunk(0, first), end(&content)],
            "INVALID_STREAM",
            "end.size_bytes",
        ),
        (
            "cut without size",
            vec![head(), chunk(0, first), end_of(sha256(), None)],
            "CHECKSUM_MISMATCH",
            "end.sha256",
        ),
        (
            "wrong checksum",
            vec![head(), all(), end_of(vec![7; 32], None)],
            "CHECKSUM_MISMATCH",
            "end.sha256",
        ),
        (
            "no checksum",
            vec![head(), all(), end_of(vec![], None)],
            "INVALID_FIELD",
            "end.sha256",
        ),
        (
            "no bytes",
            vec![head(), end(b"")],
            "INVALID_RECORDS",
            "chunk.data",
        ),
        (
            "no name",
            vec![head(), chunk(0, b"[{\"\": 1}]"), end(b"[{\"\": 1}]")],
            "INVALID_RECORDS",
            "chunk.data",
        ),
        (
            "no table",
            vec![head(), chunk(0, b"a,b\n1\n"), end(b"a,b\n1\n")],
            "INVALID_RECORDS",
            "chunk.data",
        ),
    ] {
        let refused = refusal(send(&mut client, messages).await);
        assert_eq!(
            (
                refused.code,
                refused.reason.as_str(),
                refused.field.as_str()
            ),
            (Code::InvalidArgument, reason, field),
            "{what}: {}",
            refused.message
        );
        assert_eq!(refusal(get(&mut client, "half").await).code, Code::NotFound);
    }
    until_files(folder.path(), 0).await;
    // the same id is still free
    upload(&mut client, "half", &content)
        .await
        .expect("uploads");
    assert_eq!(n_files(folder.path()), 2);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_vanishes_leaves_nothing_behind() {
    let (server, client, folder) = server().await;
    for _ in 0..20 {
        let endless = tokio_stream::iter([part(Part::Header(header("vanished")))])
            .chain(tokio_stream::iter(
                (0..).map(|i| chunk(i << 18, &[b'1'; 1 << 18])),
            ))
            .throttle(Duration::from_millis(1));
        let mut vanishing = client.clone();
        let call = vanishing.upload_dataset(endless);
        let patience = tokio::time::timeout(Duration::from_millis(20), call);
        assert!(patience.await.is_err(), "it never ends");
    }
    until_files(folder.path(), 0).await;
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_at_any_moment_has_stored_a_whole_dataset_or_nothing() {
    let (server, mut client, folder) = server().await;
    let content = "a,b\n".to_owned() + &"1.5,text\n".repeat(50_000);
    let start = Instant::now();
    let uploaded = upload(&mut client, "", content.as_bytes()).await;
    uploaded.expect("a client that stays is answered");
    let duration = start.elapsed();
    let (mut n_stored, mut n_cut) = (1, 0);
    // the first leaves at once, and the others spread over what takes so long
    for part in 0..60 {
        let mut leaving = client.clone();
        let call = upload(&mut leaving, "", content.as_bytes());
        match tokio::time::timeout(duration * part / 50, call).await {
            Ok(outcome) => {
                outcome.expect("uploads");
                n_stored += 1;
            }
            Err(_) => n_cut += 1,
        }
    }
    assert!(n_cut > 0, "an upload takes longer than nothing");
    // every acknowledged dataset is stored; others may be, if their client left at the very end
    let mut listed = usize::MAX;
    for _ in 0..200 {
        let request = ListDatasetsRequest {
            page_size: 100,
            ..ListDatasetsRequest::default()
        };
        let answer = client.list_datasets(request).await.expect("lists");
        listed = answer.into_inner().datasets.len();
        if n_files(folder.path()) == 2 * listed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(n_files(folder.path()), 2 * listed);
    assert!(listed >= n_stored);
    server.stop().await;
    // nothing was left to sweep
    let server = Server::start(folder.path()).await;
    assert_eq!(n_files(folder.path()), 2 * listed);
    server.stop().await;
}

#[tokio::test]
async fn a_dataset_is_not_replaced_and_a_retry_gets_the_same_answer() {
    let (server, mut client, folder) = server().await;
    let named = |dataset_id: &str, request_id: &str| UploadDatasetHeader {
        request_id: request_id.to_owned(),
        ..header(dataset_id)
    };
    let content = files::csv();
    for id in ["named", ""] {
        let request = || messages(named(id, "r-1"), &content, 10);
        let first = send(&mut client, request()).await.expect("uploads");
        let n = n_files(folder.path());
        let again = send(&mut client, request()).await.expect("answers");
        assert_eq!(first, again);
        // it answers at once, before the file is sent
        let header_only = vec![part(Part::Header(named(id, "r-1")))];
        let again = send(&mut client, header_only).await.expect("answers");
        assert_eq!(first, again);
        assert_eq!(n_files(folder.path()), n);
        for request_id in ["", "r-2"] {
            let other = named(&first.dataset_id, request_id);
            let refused = refusal(send(&mut client, messages(other, b"a\n1\n", 10)).await);
            assert_eq!(
                (refused.code, refused.reason.as_str()),
                (Code::AlreadyExists, "DATASET_EXISTS")
            );
        }
        let unchanged = get(&mut client, &first.dataset_id).await;
        assert_eq!(unchanged.expect("is there"), first);
    }
    // without any id, each upload is a dataset of its own
    let one = upload(&mut client, "", &content).await.expect("uploads");
    let two = upload(&mut client, "", &content).await.expect("uploads");
    assert_ne!(one.dataset_id, two.dataset_id);
    server.stop().await;
}

#[tokio::test]
async fn of_concurrent_uploads_with_one_id_one_is_stored() {
    let (server, client, folder) = server().await;
    let tasks = (0..8).map(|i| {
        let mut client = client.clone();
        let content = format!("a\n{i}\n");
        tokio::spawn(async move { upload(&mut client, "contested", content.as_bytes()).await })
    });
    let mut stored = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        match task.await.expect("joined") {
            Ok(dataset) => stored.push(dataset),
            outcome => assert_eq!(refusal(outcome).reason, "DATASET_EXISTS"),
        }
    }
    assert_eq!(stored.len(), 1);
    let mut client = client;
    let found = get(&mut client, "contested").await.expect("is there");
    assert_eq!(found, stored[0]);
    until_files(folder.path(), 2).await;
    server.stop().await;
}

#[tokio::test]
async fn a_file_over_the_limit_is_refused_even_if_it_is_compressed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start_with(folder.path(), |flags| {
        flags.max_dataset_bytes = Some("64KiB".to_owned());
    })
    .await;
    let mut client = client(&server, "alice").await;
    let fits = "a\n".to_owned() + &"1\n".repeat((1 << 15) - 1);
    let dataset = upload(&mut client, "fits", fits.as_bytes()).await;
    assert_eq!(dataset.expect("uploads").n_rows, (1 << 15) - 1);
    let larger = fits + "1";
    let refused = refusal(upload(&mut client, "larger", larger.as_bytes()).await);
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (Code::ResourceExhausted, "DATASET_TOO_LARGE")
    );
    assert!(refused.message.contains("65536 bytes"), "{refused:?}");
    let bomb = zstd::encode_all(larger.as_bytes(), 1).expect("to memory");
    let refused = refusal(upload(&mut client, "bomb", &bomb).await);
    assert!(refused.message.contains("65536 bytes"), "{refused:?}");
    let combined = super::combine(&mut client, &["fits", "fits"], "combined").await;
    assert_eq!(refusal(combined).reason, "DATASET_TOO_LARGE");
    until_files(folder.path(), 2).await;
    server.stop().await;
}

#[tokio::test]
async fn the_header_says_how_csv_is_read() {
    let (server, mut client, _folder) = server().await;
    let with = |csv| UploadDatasetHeader {
        format: FileFormat::Csv.into(),
        csv: Some(csv),
        ..header("german")
    };
    let bad = with(CsvOptions {
        delimiter: ";;".to_owned(),
        ..CsvOptions::default()
    });
    let refused = refusal(send(&mut client, messages(bad, b"a\n1\n", 10)).await);
    assert_eq!(refused.field, "header.csv.delimiter");
    let unknown = with(CsvOptions {
        text_columns: vec!["none".to_owned()],
        ..CsvOptions::default()
    });
    let refused = refusal(send(&mut client, messages(unknown, b"a\n1\n", 10)).await);
    assert_eq!(refused.field, "header.csv.text_columns");

    let german = with(CsvOptions {
        delimiter: ";".to_owned(),
        decimal: ",".to_owned(),
        text_columns: vec!["plz".to_owned()],
        ..CsvOptions::default()
    });
    let content = b"plz;wert\n01067;1,5\n80331;2,5\n";
    let dataset = send(&mut client, messages(german, content, 10)).await;
    let columns = dataset.expect("uploads").columns;
    assert_eq!(columns[0].r#type(), ColumnType::Text);
    assert_eq!(columns[1].mean, Some(2.0));
    server.stop().await;
}
