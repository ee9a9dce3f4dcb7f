//! Learning from datasets and scoring them is like sending their rows.

use anomalyd::proto::v1::predict_stream_request::Part;
use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::train_request::Detector;
use anomalyd::proto::v1::{File, Gaussian, IsolationForest, Records, TrainRequest};

use super::{of_dataset, server, upload};
use crate::harness::{
    end, header, normal_rows, part, predict, refusal, scores, train_request, update, xy,
};

fn csv(values: &[f64]) -> Vec<u8> {
    let rows = values
        .chunks(2)
        .map(|row| format!("{},{}\n", row[0], row[1]));
    format!("x,y\n{}", rows.collect::<String>()).into_bytes()
}

#[tokio::test]
async fn a_dataset_is_learned_from_and_scored_like_its_rows() {
    let (server, mut datasets, _folder) = server().await;
    let mut client = server.client("alice").await;
    let (training, more, probe) = (normal_rows(500, 1), normal_rows(100, 2), normal_rows(50, 3));
    for (id, values) in [("training", &training), ("more", &more), ("probe", &probe)] {
        upload(&mut datasets, id, &csv(values))
            .await
            .expect("uploads");
    }
    let mut statistics = Vec::new();
    for (run_id, records) in [
        ("inline", xy(training)),
        ("dataset", of_dataset("training")),
    ] {
        let trained = client
            .train(train_request(run_id, records))
            .await
            .expect("trains");
        statistics.push(trained.into_inner().model.expect("described").statistics);
    }
    assert_eq!(statistics[0], statistics[1]);
    let inline = scores(&mut client, "inline", xy(probe.clone())).await;
    let by_dataset = scores(&mut client, "dataset", of_dataset("probe")).await;
    assert_eq!(inline, by_dataset);

    update(&mut client, "inline", xy(more))
        .await
        .expect("updates");
    update(&mut client, "dataset", of_dataset("more"))
        .await
        .expect("updates");
    let inline = scores(&mut client, "inline", xy(probe)).await;
    let by_dataset = scores(&mut client, "dataset", of_dataset("probe")).await;
    assert_eq!(inline, by_dataset);
    server.stop().await;
}

#[tokio::test]
async fn columns_that_held_texts_at_training_are_texts_when_a_dataset_is_scored() {
    let (server, mut datasets, _folder) = server().await;
    let mut client = server.client("alice").await;
    let file = |content: &[u8]| Records {
        form: Some(Form::File(File {
            content: content.to_vec().into(),
            ..File::default()
        })),
    };
    let training = b"zip,n\na1,1\nb2,2\n12,3\n12,4\n";
    let probe = b"zip,n\n12,1\n34,2\n";
    client
        .train(train_request("zips", file(training)))
        .await
        .expect("trains");
    upload(&mut datasets, "probe", probe)
        .await
        .expect("uploads");
    assert_eq!(
        scores(&mut client, "zips", of_dataset("probe")).await,
        scores(&mut client, "zips", file(probe)).await
    );
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_read_as_a_whole_says_so() {
    let (server, mut datasets, _folder) = server().await;
    let mut client = server.client("alice").await;
    // 33,600,000 cells, none of which has a value
    let line = ",".repeat(27_999) + "\n";
    let names: Vec<String> = (0..28_000).map(|i| format!("c{i}")).collect();
    let wide = names.join(",") + "\n" + &line.repeat(1200);
    let wide = zstd::encode_all(wide.as_bytes(), 1).expect("to memory");
    let dataset = upload(&mut datasets, "wide", &wide).await.expect("uploads");
    assert_eq!((dataset.n_rows, dataset.n_columns), (1200, 28_000));
    let refused = refusal(client.train(train_request("run", of_dataset("wide"))).await);
    assert_eq!(
        (refused.reason.as_str(), refused.field.as_str()),
        ("INVALID_RECORDS", "records.dataset_id")
    );
    assert!(
        refused.message.contains("the dataset \"wide\"") && refused.message.contains("fewer rows"),
        "{refused:?}"
    );

    upload(&mut datasets, "xy", b"x,y\n1,2\n3,4\n5,7\n")
        .await
        .expect("uploads");
    client
        .train(train_request("run", of_dataset("xy")))
        .await
        .expect("trains");
    let stream = [
        part(Part::Header(header("run"))),
        part(Part::Records(of_dataset("xy"))),
        end(None),
    ];
    let refused = refusal(client.predict_stream(tokio_stream::iter(stream)).await);
    assert_eq!(refused.field, "records.dataset_id");
    for (id, field) in [("", "records.dataset_id"), ("none", "records.dataset_id")] {
        let refused = refusal(predict(&mut client, "run", of_dataset(id)).await);
        assert_eq!(refused.field, field);
    }
    server.stop().await;
}

/// More values than the server holds at once for a detector that can learn in passes.
#[tokio::test]
async fn a_dataset_that_is_walked_over_makes_the_same_model() {
    const ROWS: usize = 1_100_000;
    let (server, mut datasets, _folder) = server().await;
    let mut client = server.client("alice").await;
    let points = normal_rows(1000, 4);
    let value = |i: usize| (points[i % 2000] * 100.0).round() / 100.0 + (i % 7) as f64;
    let values: Vec<f64> = (0..2 * ROWS).map(value).collect();
    upload(&mut datasets, "large", &csv(&values))
        .await
        .expect("uploads");
    let detectors = [
        Detector::IsolationForest(IsolationForest::default()),
        Detector::Gaussian(Gaussian::default()),
    ];
    for (i, detector) in detectors.into_iter().enumerate() {
        let mut models = Vec::new();
        for (name, records) in [
            ("inline", xy(values.clone())),
            ("walked", of_dataset("large")),
        ] {
            let request = TrainRequest {
                detector: Some(detector.clone()),
                ..train_request(&format!("{name}{i}"), records)
            };
            let trained = client.train(request).await.expect("trains");
            let model = trained.into_inner().model.expect("described");
            models.push((model.threshold, model.statistics));
        }
        assert_eq!(models[0], models[1]);
        let probe = || xy(normal_rows(50, 3));
        let inline = scores(&mut client, &format!("inline{i}"), probe()).await;
        assert_eq!(
            scores(&mut client, &format!("walked{i}"), probe()).await,
            inline
        );
    }
    server.stop().await;
}
