//! Learning from a dataset and scoring it gives the same as sending its rows.

use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::training_spec::Detector;
use anomalyd::proto::v1::{
    AnswerOptions, AnswerRows, Detail, FeatureEngineering, FileContent, Gaussian, IsolationForest,
    Knn, PredictRequest, TrainRequest, TrainingSpec, UpdateRequest, ZScore,
};

use super::{delete, of_dataset, server, upload};
use crate::grpc::harness::{
    by, header, in_form, normal_rows, number, predict, predict_request, predicted, refusal, scores,
    spec, stream, streamed, train_as, train_request, update, xy,
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
    let file = |content: &[u8]| {
        in_form(Form::File(FileContent {
            content: content.to_vec().into(),
            ..FileContent::default()
        }))
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
async fn a_dataset_that_is_too_large_to_hold_is_refused() {
    let (server, mut datasets, _folder) = server().await;
    let mut client = server.client("alice").await;
    // 33,600,000 cells, all without a value
    let line = ",".repeat(27_999) + "\n";
    let names: Vec<String> = (0..28_000).map(|i| format!("c{i}")).collect();
    let wide = names.join(",") + "\n" + &line.repeat(1200);
    let wide = zstd::encode_all(wide.as_bytes(), 1).expect("to memory");
    let dataset = upload(&mut datasets, "wide", &wide).await.expect("uploads");
    assert_eq!((dataset.n_rows, dataset.n_columns), (1200, 28_000));
    let needs_all = train_as("run", of_dataset("wide"), by(Detector::Knn(Knn::default())));
    let refused = refusal(client.train(needs_all).await);
    assert_eq!(
        (refused.reason.as_str(), refused.field.as_str()),
        ("UNUSABLE_ROWS", "records.dataset_id")
    );
    assert!(
        refused.message.contains("the dataset \"wide\"") && refused.message.contains("sample_rows"),
        "{refused:?}"
    );

    let pair = xy(vec![1.0, 2.0, 3.0, 4.0, 5.0, 7.0]);
    client
        .train(train_request("run", pair))
        .await
        .expect("trains");
    let refused = refusal(update(&mut client, "run", of_dataset("wide")).await);
    assert_eq!(
        (refused.reason.as_str(), refused.field.as_str()),
        ("INVALID_RECORDS", "records.dataset_id")
    );
    for (id, field) in [("", "records.dataset_id"), ("none", "records.dataset_id")] {
        let refused = refusal(predict(&mut client, "run", of_dataset(id)).await);
        assert_eq!(refused.field, field);
    }
    server.stop().await;
}

/// More values than the server holds at once for a detector that can learn in passes.
#[tokio::test]
async fn learning_from_a_dataset_in_passes_makes_the_same_model() {
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
            let request = train_as(&format!("{name}{i}"), records, by(detector.clone()));
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

#[tokio::test]
async fn a_large_dataset_is_sorted_by_time_where_features_are_engineered() {
    const ROWS: usize = 1_100_000;
    let (server, mut datasets, _folder) = server().await;
    let mut client = server.client("alice").await;
    let mut lines: Vec<String> = (0..ROWS)
        .map(|i| format!("{},{}\n", 1_700_000_000 + i, (i % 97) * (i % 13)))
        .collect();
    let mut models = Vec::new();
    for name in ["ascending", "descending"] {
        let content = format!("time,value\n{}", lines.concat());
        upload(&mut datasets, name, content.as_bytes())
            .await
            .expect("uploads");
        let request = train_as(
            name,
            of_dataset(name),
            TrainingSpec {
                target_column: "value".to_owned(),
                feature_engineering: Some(FeatureEngineering {
                    lags: vec![1],
                    rolling_windows: vec![7],
                    ..Default::default()
                }),
                ..by(Detector::ZScore(ZScore::default()))
            },
        );
        let trained = client.train(request).await.expect("trains");
        let model = trained.into_inner().model.expect("described");
        models.push((model.threshold, model.statistics));
        lines.reverse();
    }
    assert_eq!(models[0], models[1]);
    server.stop().await;
}

#[tokio::test]
async fn a_detector_that_needs_all_rows_learns_from_a_sample() {
    let (server, mut datasets, _folder) = server().await;
    let mut client = server.client("alice").await;
    let values = normal_rows(2000, 5);
    upload(&mut datasets, "all", &csv(&values))
        .await
        .expect("uploads");
    let request = |run_id: &str, records, sample_rows| {
        train_as(
            run_id,
            records,
            TrainingSpec {
                sample_rows: Some(sample_rows),
                ..by(Detector::Knn(Knn::default()))
            },
        )
    };
    let mut found = Vec::new();
    for (run_id, records) in [("inline", xy(values)), ("dataset", of_dataset("all"))] {
        let trained = client.train(request(run_id, records, 300)).await;
        let model = trained.expect("trains").into_inner().model;
        let model = model.expect("described");
        assert_eq!((model.n_rows, spec(&model).sample_rows), (300, Some(300)));
        let probe = xy(normal_rows(50, 3));
        found.push((model.threshold, scores(&mut client, run_id, probe).await));
    }
    assert_eq!(found[0], found[1]);

    let all = client.train(request("all", of_dataset("all"), 5000)).await;
    let all = all.expect("trains").into_inner().model.expect("described");
    assert_eq!(all.n_rows, 2000);
    let alike = TrainRequest {
        like_version: number(1),
        ..train_as(
            "dataset",
            of_dataset("all"),
            TrainingSpec {
                sample_rows: Some(0),
                ..TrainingSpec::default()
            },
        )
    };
    let alike = client.train(alike).await.expect("trains").into_inner();
    let alike = alike.model.expect("described");
    assert_eq!((alike.n_rows, spec(&alike).sample_rows), (2000, None));

    let one = refusal(client.train(request("one", of_dataset("all"), 1)).await);
    assert_eq!(one.field, "spec.sample_rows");
    let engineered = TrainingSpec {
        feature_engineering: Some(FeatureEngineering::default()),
        target_column: "x".to_owned(),
        sample_rows: Some(300),
        ..by(Detector::Knn(Knn::default()))
    };
    let engineered = train_as("engineered", of_dataset("all"), engineered);
    let refused = refusal(client.train(engineered).await);
    assert_eq!(refused.field, "spec.sample_rows");
    server.stop().await;
}

/// More values than one chunk has.
#[tokio::test]
async fn a_dataset_scored_chunk_by_chunk_gets_the_scores_of_its_rows() {
    const ROWS: usize = 300_000;
    let (server, mut datasets, _folder) = server().await;
    let mut client = server.client("alice").await;
    let mut values = normal_rows(ROWS, 6);
    values[2 * (ROWS - 1)] = 1e6;
    upload(&mut datasets, "many", &csv(&values))
        .await
        .expect("uploads");
    let lagged = train_as(
        "lagged",
        xy(normal_rows(500, 1)),
        TrainingSpec {
            feature_engineering: Some(FeatureEngineering::default()),
            target_column: "x".to_owned(),
            ..TrainingSpec::default()
        },
    );
    client.train(lagged).await.expect("trains");
    let plain = train_request("plain", xy(normal_rows(500, 1)));
    client.train(plain).await.expect("trains");
    for run_id in ["plain", "lagged"] {
        let inline = scores(&mut client, run_id, xy(values.clone())).await;
        let by_dataset = scores(&mut client, run_id, of_dataset("many")).await;
        assert_eq!(inline.len(), ROWS);
        assert!(by_dataset == inline, "{run_id}");

        let request = |rows: AnswerRows, detail: Detail| PredictRequest {
            answer: Some(AnswerOptions {
                max_bytes: Some(64 << 20),
                rows: rows.into(),
                detail: detail.into(),
            }),
            ..predict_request(run_id, of_dataset("many"))
        };
        let answer = predicted(&mut client, request(AnswerRows::None, Detail::Score)).await;
        let answer = answer.expect("predicts");
        assert!(answer.scores.is_empty() && answer.rows.is_empty());
        let summary = answer.summary.expect("summed up");
        let flagged = predicted(&mut client, request(AnswerRows::Anomalies, Detail::Full)).await;
        let flagged = flagged.expect("predicts").rows;
        assert_eq!(summary.n_rows, Some(ROWS as u64));
        assert_eq!(summary.n_anomalies, Some(flagged.len() as u64));
        let last = flagged.last().expect("the last row is far out");
        assert_eq!(last.row, Some(ROWS as u64 - 1));

        let records = [xy(normal_rows(10, 7)), of_dataset("many")];
        let answer = streamed(&mut client, stream(header(run_id), records)).await;
        let summary = answer.expect("predicts").summary.expect("summed up");
        assert_eq!(summary.n_rows, Some(10 + ROWS as u64));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_row_of_a_later_chunk_that_lacks_a_column_is_named() {
    const ROWS: usize = 300_000;
    let (server, mut datasets, _folder) = server().await;
    let mut client = server.client("alice").await;
    let line = |i: usize| match i {
        299_990 => "{\"x\":1}\n".to_owned(),
        _ => format!("{{\"x\":{},\"y\":2}}\n", i % 10),
    };
    let lines: String = (0..ROWS).map(line).collect();
    upload(&mut datasets, "lines", lines.as_bytes())
        .await
        .expect("uploads");
    client
        .train(train_request("run", xy(normal_rows(500, 1))))
        .await
        .expect("trains");
    let refused = refusal(predict(&mut client, "run", of_dataset("lines")).await);
    let place = "row 299990: no value is given for \"y\"";
    assert!(refused.message.starts_with(place), "{refused:?}");
    assert_eq!(refused.field, "records.dataset_id");
    server.stop().await;
}

#[tokio::test]
async fn a_retry_is_answered_even_if_its_dataset_is_deleted() {
    let (server, mut datasets, _folder) = server().await;
    let mut client = server.client("alice").await;
    for id in ["training", "more"] {
        upload(&mut datasets, id, &csv(&normal_rows(200, 8)))
            .await
            .expect("uploads");
    }
    let train = || TrainRequest {
        request_id: "first".to_owned(),
        ..train_request("run", of_dataset("training"))
    };
    let update = || UpdateRequest {
        run_id: "run".to_owned(),
        records: Some(of_dataset("more")),
        request_id: "second".to_owned(),
    };
    let trained = client.train(train()).await.expect("trains").into_inner();
    let updated = client.update(update()).await.expect("updates").into_inner();
    for id in ["training", "more"] {
        delete(&mut datasets, id).await.expect("deletes");
    }
    let again = client.train(train()).await.expect("made before");
    assert_eq!(again.into_inner(), trained);
    let again = client.update(update()).await.expect("made before");
    assert_eq!(again.into_inner(), updated);
    server.stop().await;
}
