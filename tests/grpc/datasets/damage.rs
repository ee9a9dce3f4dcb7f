//! A dataset that changes on disk is neither learned from nor scored, whenever that happens.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anomalyd::proto::v1::training_spec::Detector;
use anomalyd::proto::v1::{Gaussian, PredictStreamHeader};
use arrow_array::{ArrayRef, Float64Array, RecordBatch};
use tonic::{Code, Status};

use super::{
    Client, combine, delete, files, get, of_dataset, pages, pages_request, server, upload,
};
use crate::grpc::harness::{
    self, by, header, normal_rows, predict, refusal, stream, streamed, train_as, update,
};

/// Rows that take some chunks of checksums in every format.
const ROWS: usize = 20_000;

/// The same table in every format.
fn formats() -> Vec<(&'static str, Vec<u8>)> {
    let values = normal_rows(ROWS, 1);
    let lines = |line: fn(f64, f64) -> String| {
        let lines = values.chunks(2).map(|row| line(row[0], row[1]));
        lines.collect::<Vec<_>>()
    };
    let csv = format!("x,y\n{}", lines(|x, y| format!("{x},{y}\n")).concat());
    let objects = lines(|x, y| format!("{{\"x\": {x}, \"y\": {y}}}"));
    let column = |from: usize| -> ArrayRef {
        let column = values.iter().skip(from).step_by(2);
        Arc::new(column.copied().collect::<Float64Array>())
    };
    let batch = RecordBatch::try_from_iter([("x", column(0)), ("y", column(1))]);
    let batch = batch.expect("a batch");
    vec![
        ("gzip", files::gzip(csv.as_bytes())),
        ("csv", csv.into_bytes()),
        ("json", format!("[{}]", objects.join(",")).into_bytes()),
        (
            "zstd",
            zstd::encode_all(objects.join("\n").as_bytes(), 1).expect("to memory"),
        ),
        ("parquet", files::parquet_of(&batch)),
        ("arrow", files::ipc_of(&batch)),
    ]
}

/// The stored file with this content.
fn stored(folder: &Path, content: &[u8]) -> PathBuf {
    let files = std::fs::read_dir(folder.join("blobs")).expect("is there");
    let mut paths = files.map(|file| file.expect("an entry").path());
    let found = paths.find(|path| std::fs::read(path).expect("readable").starts_with(content));
    found.expect("it is stored")
}

/// All that reads a dataset, by name, with the scores if it gives any.
async fn uses(
    client: &mut harness::Client,
    datasets: &mut Client,
) -> Vec<(&'static str, Result<Vec<f64>, Status>)> {
    let stream_of = |header: PredictStreamHeader| stream(header, [of_dataset("data")]);
    let predicted = predict(client, "run", of_dataset("data")).await;
    let streamed = streamed(client, stream_of(header("run"))).await;
    let paged = pages(client, pages_request("run", "data")).await;
    let paged = paged.map(|pages| {
        let predictions = pages.into_iter().filter_map(|page| page.predictions);
        predictions.flat_map(|page| page.scores).collect()
    });
    let gaussian = || by(Detector::Gaussian(Gaussian::default()));
    let trained = client
        .train(train_as("other", of_dataset("data"), gaussian()))
        .await;
    let updated = update(client, "other", of_dataset("data")).await;
    let combined = combine(datasets, &["data", "data"], "both").await;
    if combined.is_ok() {
        delete(datasets, "both").await.expect("deletes");
    }
    vec![
        ("Predict", predicted.map(|answer| answer.scores)),
        ("PredictStream", streamed.map(|answer| answer.scores)),
        ("PredictDataset", paged),
        ("Train", trained.map(|_| Vec::new())),
        ("Update", updated.map(|_| Vec::new())),
        ("CombineDatasets", combined.map(|_| Vec::new())),
    ]
}

/// Checks that nothing could use the dataset.
async fn none_can_use_it(client: &mut harness::Client, datasets: &mut Client, what: &str) {
    for (method, outcome) in uses(client, datasets).await {
        let refused = refusal(outcome);
        assert_eq!(
            (refused.code, refused.reason.as_str()),
            (Code::DataLoss, "DATASET_DAMAGED"),
            "{what}: {method}: {}",
            refused.message
        );
        assert!(
            refused.message.contains("the dataset \"data\" is damaged"),
            "{}",
            refused.message
        );
    }
}

#[tokio::test]
async fn bytes_that_changed_after_the_first_use_are_never_scored() {
    let (server, mut datasets, folder) = server().await;
    let mut client = server.client("alice").await;
    for (format, content) in formats() {
        upload(&mut datasets, "data", &content)
            .await
            .expect("uploads");
        let gaussian = by(Detector::Gaussian(Gaussian::default()));
        for run in ["run", "other"] {
            let request = train_as(run, of_dataset("data"), gaussian.clone());
            client.train(request).await.expect("trains");
        }
        let right: Vec<_> = uses(&mut client, &mut datasets)
            .await
            .into_iter()
            .map(|(method, outcome)| (method, outcome.expect("it is whole")))
            .collect();
        assert_eq!(right[0].1.len(), ROWS);

        let path = stored(folder.path(), &content);
        let file = std::fs::read(&path).expect("readable");
        let middle = content.len() / 2;
        for at in [10, middle, content.len() - 1] {
            let mut changed = file.clone();
            changed[at] ^= 0x04;
            std::fs::write(&path, changed).expect("writable");
            let what = format!("{format}, byte {at}");
            if at > middle {
                // a reader need not read the end of a file
                for ((method, outcome), (_, right)) in uses(&mut client, &mut datasets)
                    .await
                    .into_iter()
                    .zip(&right)
                {
                    match outcome {
                        Ok(scores) => assert_eq!(&scores, right, "{what}: {method}"),
                        Err(status) => assert_eq!(status.code(), Code::DataLoss, "{status:?}"),
                    }
                }
            } else {
                none_can_use_it(&mut client, &mut datasets, &what).await;
            }
        }
        std::fs::write(&path, &file[..file.len() - 5000]).expect("writable");
        none_can_use_it(&mut client, &mut datasets, &format!("{format}, shorter")).await;
        std::fs::write(&path, [&file[..], b"x"].concat()).expect("writable");
        none_can_use_it(&mut client, &mut datasets, &format!("{format}, longer")).await;

        std::fs::write(&path, &file).expect("writable");
        for ((method, outcome), (_, right)) in uses(&mut client, &mut datasets)
            .await
            .into_iter()
            .zip(&right)
        {
            assert_eq!(
                &outcome.expect("it is as it was"),
                right,
                "{format}: {method}"
            );
        }
        std::fs::remove_file(&path).expect("removable");
        none_can_use_it(&mut client, &mut datasets, &format!("{format}, gone")).await;
        // what is damaged can be described and deleted
        get(&mut datasets, "data").await.expect("described");
        delete(&mut datasets, "data").await.expect("deletes");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_description_that_changed_is_refused() {
    let (server, mut datasets, folder) = server().await;
    upload(&mut datasets, "data", &files::csv())
        .await
        .expect("uploads");
    let file = stored(folder.path(), &files::csv());
    let blobs = std::fs::read_dir(folder.path().join("blobs")).expect("is there");
    let mut others = blobs
        .map(|blob| blob.expect("an entry").path())
        .filter(|path| *path != file);
    let description = others.next().expect("it is stored");
    let mut bytes = std::fs::read(&description).expect("readable");
    bytes[30] ^= 1;
    std::fs::write(&description, bytes).expect("writable");
    let refused = refusal(get(&mut datasets, "data").await);
    assert_eq!(refused.reason, "DATASET_DAMAGED");
    delete(&mut datasets, "data").await.expect("deletes");
    server.stop().await;
}
