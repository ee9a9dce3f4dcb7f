//! Answers: which rows they list, in what detail, and how large they are.

use anomalyd::proto::v1::training_spec::Detector;
use anomalyd::proto::v1::{
    AnswerOptions, AnswerRows, Detail, FeaturePolicy, Gaussian, ListModelsRequest,
    PredictDatasetRequest, PredictRequest, PredictStreamHeader, Predictions, RowPrediction,
    TrainingSpec, ZScore,
};
use prost::Message as _;
use tonic::Code;

use crate::grpc::datasets::{self, joined, of_dataset, pages, pages_request};
use crate::grpc::harness::{
    Client, answer, by, get_model, header, matrix, model_request, normal_rows, predict,
    predict_request, predicted, refusal, server, stream, streamed, train, train_as, train_request,
    trained, xy,
};

const NAN: f64 = f64::NAN;

/// The size that gRPC clients accept by default.
const FOUR_MIB: usize = 4 << 20;

fn lists(predictions: Predictions) -> Predictions {
    Predictions {
        summary: None,
        ..predictions
    }
}

/// The answers of Predict, PredictStream and PredictDataset to the same rows, without the
/// summaries.
async fn by_every_method(
    client: &mut Client,
    values: &[f64],
    options: Option<AnswerOptions>,
) -> [Predictions; 3] {
    let at_once = PredictRequest {
        answer: options,
        ..predict_request("run", xy(values.to_vec()))
    };
    let at_once = predicted(client, at_once).await.expect("predicts");
    let along = PredictStreamHeader {
        answer: options,
        ..header("run")
    };
    let records = values.chunks(6).map(|values| xy(values.to_vec()));
    let along = streamed(client, stream(along, records)).await;
    let pagewise = PredictDatasetRequest {
        answer: options,
        ..pages_request("run", "rows")
    };
    let pagewise = joined(&pages(client, pagewise).await.expect("answers")).0;
    let pagewise = Predictions {
        truncated: Some(false),
        ..pagewise
    };
    [lists(at_once), lists(along.expect("streams")), pagewise]
}

#[tokio::test]
async fn rows_and_detail_are_independent() {
    let (server, mut client, _folder) = server().await;
    let gaussian = by(Detector::Gaussian(Gaussian::default()));
    trained(
        &mut client,
        train_as("run", xy(normal_rows(500, 1)), gaussian),
    )
    .await;
    let mut values = normal_rows(20, 2);
    values.extend([50.0, -50.0, NAN, 5.0, 0.0, NAN, 0.1, 5.1, -50.0, NAN]);
    let cell = |value: &f64| {
        if value.is_nan() {
            String::new()
        } else {
            value.to_string()
        }
    };
    let lines = values
        .chunks(2)
        .map(|row| format!("{},{}\n", cell(&row[0]), cell(&row[1])));
    let csv = format!("x,y\n{}", lines.collect::<String>());
    let mut owner = datasets::client(&server, "alice").await;
    datasets::upload(&mut owner, "rows", csv.as_bytes())
        .await
        .expect("uploads");

    let full = answer(AnswerRows::All, Detail::Full);
    let [everything, ..] = by_every_method(&mut client, &values, full).await;
    let rows = everything.rows;
    assert_eq!(rows.len(), 25);
    let missing: Vec<_> = rows
        .iter()
        .map(|row| (row.n_missing_features, row.missing_features.join(" ")))
        .collect();
    let none = || (Some(0), String::new());
    let one = |name: &str| (Some(1), name.to_owned());
    assert_eq!(
        missing[20..],
        [none(), one("x"), one("y"), none(), one("y")]
    );
    for (index, row) in rows.iter().enumerate() {
        assert_eq!(row.row, Some(index as u64));
        let figures = row.figures.as_ref().expect("gaussian has figures");
        assert_eq!(
            (figures.z_scores.len(), figures.mahalanobis),
            (2, row.score)
        );
    }

    for listed in [AnswerRows::All, AnswerRows::Anomalies, AnswerRows::None] {
        let is_listed = |row: &&RowPrediction| match listed {
            AnswerRows::All => true,
            AnswerRows::Anomalies => row.is_anomaly == Some(true),
            _ => false,
        };
        let rows: Vec<RowPrediction> = rows.iter().filter(is_listed).cloned().collect();
        let n = rows.len();
        assert!(
            listed != AnswerRows::Anomalies || (2..25).contains(&n),
            "{n}"
        );
        for detail in [Detail::Score, Detail::Full] {
            let truncated = Some(false);
            let expected = match detail {
                Detail::Full => Predictions {
                    rows: rows.clone(),
                    truncated,
                    ..Predictions::default()
                },
                _ => Predictions {
                    row_indices: match listed {
                        AnswerRows::Anomalies => rows.iter().flat_map(|row| row.row).collect(),
                        _ => Vec::new(),
                    },
                    scores: rows.iter().flat_map(|row| row.score).collect(),
                    is_anomaly: rows.iter().flat_map(|row| row.is_anomaly).collect(),
                    truncated,
                    ..Predictions::default()
                },
            };
            for found in by_every_method(&mut client, &values, answer(listed, detail)).await {
                assert_eq!(found, expected, "{listed:?} {detail:?}");
            }
        }
    }

    // the defaults: scores of all rows, in a stream of the anomalies
    let scores: Vec<f64> = rows.iter().flat_map(|row| row.score).collect();
    let anomalies = rows.iter().filter(|row| row.is_anomaly == Some(true));
    let anomalies: Vec<u64> = anomalies.flat_map(|row| row.row).collect();
    let [at_once, along, pagewise] = by_every_method(&mut client, &values, None).await;
    assert!(at_once.scores == scores && at_once.rows.is_empty());
    assert!(pagewise.scores == scores && pagewise.rows.is_empty());
    assert_eq!((along.row_indices, along.rows), (anomalies, Vec::new()));
    server.stop().await;
}

#[tokio::test]
async fn a_single_row_is_answered_in_full() {
    let (server, mut client, _folder) = server().await;
    train(&mut client, "run").await;
    let mut owner = datasets::client(&server, "alice").await;
    datasets::upload(&mut owner, "one", b"x,y\n50,-50\n")
        .await
        .expect("uploads");
    for records in [xy(vec![50.0, -50.0]), of_dataset("one")] {
        let one = predict(&mut client, "run", records.clone()).await;
        let one = one.expect("predicts");
        assert_eq!((one.rows.len(), one.scores.len()), (1, 0));
        assert_eq!(one.rows[0].is_anomaly, Some(true));
        // with one of the two options left out
        let request = PredictRequest {
            answer: answer(AnswerRows::Anomalies, Detail::Unspecified),
            ..predict_request("run", records.clone())
        };
        let flagged = predicted(&mut client, request).await.expect("predicts");
        assert_eq!(flagged.rows, one.rows);
        let request = PredictRequest {
            answer: answer(AnswerRows::Unspecified, Detail::Score),
            ..predict_request("run", records)
        };
        let packed = predicted(&mut client, request).await.expect("predicts");
        assert_eq!(packed.scores, [one.rows[0].score.expect("scored")]);
        assert!(packed.rows.is_empty());
    }
    server.stop().await;
}

#[tokio::test]
async fn scores_that_would_not_fit_are_refused_before_scoring() {
    let (server, mut client, _folder) = server().await;
    let adaptive = TrainingSpec {
        feature_policy: FeaturePolicy::Adaptive.into(),
        ..TrainingSpec::default()
    };
    trained(
        &mut client,
        train_as("run", xy(normal_rows(500, 1)), adaptive),
    )
    .await;
    const ROWS: usize = 500_000;
    let many = || matrix(&["x", "y", "z"], vec![1.0; 3 * ROWS]);
    let mut plain = server.plain_client("alice").await;
    let refused = refusal(predict(&mut plain, "run", many()).await);
    assert_eq!(
        (
            refused.code,
            refused.reason.as_str(),
            refused.field.as_str()
        ),
        (
            Code::ResourceExhausted,
            "ANSWER_TOO_LARGE",
            "answer.max_bytes"
        )
    );
    let size = (64 << 10) + 9 * ROWS;
    for part in [
        &size.to_string(),
        "answer.max_bytes is 4194304",
        "PredictDataset",
    ] {
        assert!(refused.message.contains(part), "{part}: {refused:?}");
    }
    // scoring would have noted the unknown feature
    let response = plain.get_model(model_request("run")).await.expect("there");
    assert_eq!(response.into_inner().unknown_features, []);

    for rows in [AnswerRows::Anomalies, AnswerRows::None] {
        let request = PredictRequest {
            answer: answer(rows, Detail::Score),
            ..predict_request("run", many())
        };
        let fits = predicted(&mut plain, request).await.expect("fits");
        assert_eq!(fits.summary.expect("summed up").n_rows, Some(ROWS as u64));
    }
    let response = plain.get_model(model_request("run")).await.expect("there");
    assert_eq!(response.into_inner().unknown_features[0].name, "z");
    let request = PredictRequest {
        answer: Some(AnswerOptions {
            max_bytes: Some(8 << 20),
            ..AnswerOptions::default()
        }),
        ..predict_request("run", many())
    };
    let all = predicted(&mut client, request).await.expect("fits");
    assert_eq!(all.scores.len(), ROWS);

    // ids count as well
    let mut named = xy(normal_rows(40_000, 2));
    let fits = predict(&mut plain, "run", named.clone()).await;
    assert_eq!(fits.expect("fits").scores.len(), 40_000);
    named.row_ids = (0..40_000).map(|i| format!("{i:0128}")).collect();
    let refused = refusal(predict(&mut plain, "run", named).await);
    assert_eq!(refused.reason, "ANSWER_TOO_LARGE");
    server.stop().await;
}

#[tokio::test]
async fn row_objects_that_do_not_fit_are_cut() {
    let (server, mut client, _folder) = server().await;
    let names = [1, 2].map(|i| "x".repeat(250) + &i.to_string());
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let request = train_request("long", matrix(&names, normal_rows(20, 1)));
    trained(&mut client, request).await;
    let request = |n: usize, detail: Detail| PredictRequest {
        answer: answer(AnswerRows::All, detail),
        ..predict_request("long", matrix(&names, vec![NAN; 2 * n]))
    };
    let mut plain = server.plain_client("alice").await;
    let full = predicted(&mut plain, request(1000, Detail::Full)).await;
    let full = full.expect("answers");
    assert_eq!((full.rows.len(), full.truncated), (1000, Some(false)));
    for n in [150_000, 400_000] {
        let cut = predicted(&mut plain, request(n, Detail::Full)).await;
        let cut = cut.expect("answers what fits");
        assert_eq!(cut.truncated, Some(true));
        assert_eq!(
            cut.summary.as_ref().expect("summed up").n_rows,
            Some(n as u64)
        );
        let n_bytes = cut.encoded_len();
        assert!(
            (FOUR_MIB - (70 << 10)..=FOUR_MIB).contains(&n_bytes),
            "{n_bytes}"
        );
        assert!((1000..10_000).contains(&cut.rows.len()));
        assert_eq!(cut.rows[..1000], full.rows[..]);
        let packed = predicted(&mut plain, request(n, Detail::Score)).await;
        assert_eq!(packed.expect("less detail is fine").scores.len(), n);
    }
    server.stop().await;
}

#[tokio::test]
async fn many_long_names_fit_in_an_answer_with_rows() {
    let (server, mut client, _folder) = server().await;
    let names: Vec<String> = (0..300).map(|i| format!("{i:0256}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let flexible = TrainingSpec {
        feature_policy: FeaturePolicy::Flexible.into(),
        ..by(Detector::ZScore(ZScore::default()))
    };
    let training = matrix(&names[..200], normal_rows(300, 1));
    trained(&mut client, train_as("wide", training, flexible)).await;
    // a hundred known features, a hundred missing and a hundred unknown ones
    let probe = matrix(&names[100..], vec![0.5; 200 * 50]);
    let max_bytes = 128 << 10;
    let request = PredictRequest {
        answer: Some(AnswerOptions {
            max_bytes: Some(max_bytes),
            detail: Detail::Full.into(),
            ..AnswerOptions::default()
        }),
        ..predict_request("wide", probe)
    };
    let cut = predicted(&mut client, request).await.expect("answers");
    assert_eq!(cut.truncated, Some(true));
    assert!(
        cut.encoded_len() as u64 <= max_bytes,
        "{}",
        cut.encoded_len()
    );
    let summary = cut.summary.expect("summed up");
    assert_eq!(summary.n_missing_features, Some(100));
    assert_eq!(
        (
            summary.missing_features.len(),
            summary.unknown_features.len()
        ),
        (100, 100)
    );
    assert_eq!(cut.rows[0].n_missing_features, Some(100));
    server.stop().await;
}

#[tokio::test]
async fn the_description_of_a_model_with_many_columns_fits_the_limit_of_clients() {
    let (server, _, _folder) = server().await;
    let mut client = server.plain_client("alice").await;
    for (n, width, omitted) in [
        (50_000, 10, vec!["statistics.features"]),
        (
            20_000,
            250,
            vec!["statistics.features", "columns", "feature_names", "spec"],
        ),
    ] {
        let names: Vec<String> = (0..n).map(|i| format!("{i:0width$}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let values = normal_rows(2 * n, 1);
        let z_score = || by(Detector::ZScore(ZScore::default()));
        let run_id = format!("{n}");
        let request = train_as(&run_id, matrix(&names, values[..3 * n].to_vec()), z_score());
        let model = trained(&mut client, request).await;
        assert_eq!(model.version, 1);
        assert_eq!(model.omitted_fields, omitted);
        assert!(model.encoded_len() <= FOUR_MIB);
        assert_eq!(model.n_features, n as u32);
        assert_eq!(model.spec.is_some(), !omitted.contains(&"spec"));
        assert_eq!(get_model(&mut client, &run_id).await.expect("there"), model);
        let probe = || matrix(&names, values[3 * n..].to_vec());
        let one = predict(&mut client, &run_id, probe())
            .await
            .expect("predicts");
        let figures = one.rows[0].figures.as_ref().expect("z-scores");
        assert_eq!((figures.z_scores.len(), one.truncated), (n, Some(false)));
        if let Some(spec) = model.spec {
            let again = train_as("again", matrix(&names, values[..3 * n].to_vec()), spec);
            trained(&mut client, again).await;
            let again = predict(&mut client, "again", probe())
                .await
                .expect("predicts");
            assert_eq!(again.rows, one.rows);
        }
    }
    let listed = client.list_models(ListModelsRequest::default()).await;
    assert_eq!(listed.expect("lists").into_inner().models.len(), 3);
    server.stop().await;
}

#[tokio::test]
async fn the_description_of_a_dataset_with_many_columns_fits_the_limit_of_clients() {
    let (server, _, _folder) = server().await;
    let mut plain = datasets::plain_client(&server, "alice").await;
    for (id, width, omitted) in [("short", 6, false), ("long", 250, true)] {
        let names: Vec<String> = (0..65_536).map(|i| format!("{i:0width$}")).collect();
        let csv = format!("{}\n{}1\n", names.join(","), "1,".repeat(65_535));
        let dataset = datasets::upload(&mut plain, id, csv.as_bytes()).await;
        let dataset = dataset.expect("uploads");
        assert!(dataset.encoded_len() <= FOUR_MIB);
        assert_eq!(dataset.n_columns, 65_536);
        assert_eq!(dataset.columns_omitted, omitted);
        assert_eq!(dataset.columns.len(), if omitted { 0 } else { 65_536 });
        let found = datasets::get(&mut plain, id).await;
        assert_eq!(found.expect("is there"), dataset);
    }
    server.stop().await;
}
