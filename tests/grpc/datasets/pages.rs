//! PredictDataset: answers page by page, from any row on, what Predict answers at once.

use std::fmt::Write as _;

use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::training_spec::Detector;
use anomalyd::proto::v1::{
    AnswerOptions, AnswerRows, Detail, FeatureEngineering, FeaturePolicy, FileContent, Gaussian,
    PredictDatasetRequest, PredictRequest, Predictions, Records, TrainingSpec,
};
use prost::Message as _;
use tonic::Code;

use super::{delete, joined, pages, pages_request, server, upload};
use crate::grpc::harness::{
    Client, by, in_form, normal_rows, number, predict_request, predicted, refusal, train_as,
    train_request, trained, xy,
};

/// The smallest allowed limit of a page.
const FEW: u64 = 128 << 10;

const ROWS: usize = 20_000;

/// Readings of two sensors, with an id and a shop each; some values are missing.
fn readings(n: usize, seed: u64) -> String {
    let noise = normal_rows(n, seed);
    let mut csv = "id,when,sensor,value,shop\n".to_owned();
    for i in 0..n {
        let (day, minute) = (1 + i / 1440, i % 1440);
        let shop = ["bakery", "kiosk", "tailor"][(i / 3) % 3];
        let value = match i % 101 {
            7 => String::new(),
            _ => format!("{}", (i as f64 / 20.0).sin() * 10.0 + noise[2 * i]),
        };
        writeln!(
            csv,
            "{:05},2024-03-{day:02}T{:02}:{:02}:00Z,s{},{value},{shop}",
            i,
            minute / 60,
            minute % 60,
            i % 2
        )
        .expect("to memory");
    }
    csv
}

fn file(csv: &str) -> Records {
    let content = FileContent {
        content: csv.as_bytes().to_vec().into(),
        ..FileContent::default()
    };
    Records {
        row_id_column: "id".to_owned(),
        ..in_form(Form::File(content))
    }
}

/// Trains two runs on readings, with and without engineered features, and uploads a file of readings to score.
async fn train_and_upload(client: &mut Client, datasets: &mut super::Client, csv: &str) {
    let plain = TrainingSpec {
        time_column: "when".to_owned(),
        ignore_columns: vec!["sensor".to_owned()],
        ..by(Detector::Gaussian(Gaussian::default()))
    };
    let engineered = TrainingSpec {
        target_column: "value".to_owned(),
        series_column: "sensor".to_owned(),
        feature_engineering: Some(FeatureEngineering::default()),
        ..TrainingSpec::default()
    };
    for (run_id, spec) in [("plain", plain), ("engineered", engineered)] {
        let request = train_as(run_id, file(&readings(2000, 1)), spec);
        trained(client, request).await;
    }
    upload(datasets, "readings", csv.as_bytes())
        .await
        .expect("uploads");
}

fn options(rows: AnswerRows, detail: Detail, max_bytes: u64) -> AnswerOptions {
    AnswerOptions {
        rows: rows.into(),
        detail: detail.into(),
        max_bytes: Some(max_bytes),
    }
}

fn request(run_id: &str, first_row: u64, options: AnswerOptions) -> PredictDatasetRequest {
    PredictDatasetRequest {
        row_id_column: "id".to_owned(),
        answer: Some(options),
        first_row,
        ..pages_request(run_id, "readings")
    }
}

/// What Predict lists for the same rows.
async fn at_once(
    client: &mut Client,
    run_id: &str,
    csv: &str,
    rows: AnswerRows,
    detail: Detail,
) -> Predictions {
    let request = PredictRequest {
        answer: Some(options(rows, detail, 64 << 20)),
        ..predict_request(run_id, file(csv))
    };
    let mut all = predicted(client, request).await.expect("predicts");
    assert_eq!(all.truncated.take(), Some(false));
    Predictions {
        summary: None,
        ..all
    }
}

#[tokio::test]
async fn pages_together_are_the_predictions_of_all_rows() {
    let (server, mut datasets, _folder) = server().await;
    let mut client = server.client("alice").await;
    let csv = readings(ROWS, 2);
    train_and_upload(&mut client, &mut datasets, &csv).await;
    for run_id in ["plain", "engineered"] {
        for (rows, detail) in [
            (AnswerRows::All, Detail::Score),
            (AnswerRows::All, Detail::Full),
            (AnswerRows::Anomalies, Detail::Score),
            (AnswerRows::Anomalies, Detail::Full),
        ] {
            let expected = at_once(&mut client, run_id, &csv, rows, detail).await;
            let mut n_anomalies = None;
            for max_bytes in [FEW, 300_000, 4 << 20] {
                let what = format!("{run_id} {rows:?} {detail:?} {max_bytes}");
                let asked = request(run_id, 0, options(rows, detail, max_bytes));
                let pages = pages(&mut client, asked).await.expect("answers");
                assert!(
                    max_bytes > FEW || pages.len() > 3,
                    "{what}: {}",
                    pages.len()
                );
                let mut next_row = 0;
                for page in &pages {
                    assert_eq!(page.first_row, Some(next_row), "{what}");
                    assert_eq!(page.n_rows, Some(ROWS as u64), "{what}");
                    next_row = page.next_row.expect("said");
                    let n_bytes = page.encoded_len() as u64;
                    assert!(n_bytes <= max_bytes, "{what}: {n_bytes}");
                }
                assert_eq!(next_row, ROWS as u64, "{what}");
                let (all, n_rows, n_found) = joined(&pages);
                assert!(all == expected, "{what}");
                assert_eq!(n_rows, ROWS as u64, "{what}");
                assert_eq!(*n_anomalies.get_or_insert(n_found), n_found, "{what}");
            }
        }
        let nothing = request(run_id, 0, options(AnswerRows::None, Detail::Full, FEW));
        let nothing = pages(&mut client, nothing).await.expect("answers");
        let (all, n_rows, _) = joined(&nothing);
        assert_eq!((all, n_rows), (Predictions::default(), ROWS as u64));
    }
    server.stop().await;
}

#[tokio::test]
async fn an_answer_can_be_continued_from_any_row() {
    let (server, mut datasets, _folder) = server().await;
    let mut client = server.client("alice").await;
    let csv = readings(ROWS, 2);
    train_and_upload(&mut client, &mut datasets, &csv).await;
    for run_id in ["plain", "engineered"] {
        let (rows, detail) = (AnswerRows::All, Detail::Full);
        let expected = at_once(&mut client, run_id, &csv, rows, detail).await.rows;
        let scores = at_once(&mut client, run_id, &csv, rows, Detail::Score).await;
        let whole = request(run_id, 0, options(rows, Detail::Score, FEW));
        let whole = pages(&mut client, whole).await.expect("answers");
        let boundary = whole[0].next_row.expect("said");
        let mut starts = vec![1, boundary - 1, boundary, boundary + 1, ROWS as u64 - 1];
        starts.extend(
            normal_rows(5, 3)
                .iter()
                .map(|x| (x.abs() * 1e4) as u64 % ROWS as u64),
        );
        for first_row in starts {
            let after = first_row as usize;
            let asked = request(run_id, first_row, options(rows, Detail::Score, FEW));
            let resumed = pages(&mut client, asked).await.expect("answers");
            assert_eq!(resumed[0].first_row, Some(first_row));
            let (all, n_rows, _) = joined(&resumed);
            assert!(all.scores == scores.scores[after..], "{run_id} {first_row}");
            assert_eq!(all.row_ids, scores.row_ids[after..]);
            assert_eq!(n_rows, (ROWS - after) as u64);

            let asked = request(run_id, first_row, options(rows, detail, 4 << 20));
            let resumed = pages(&mut client, asked).await.expect("answers");
            assert!(
                joined(&resumed).0.rows == expected[after..],
                "{run_id} {first_row}"
            );
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn after_the_last_row_there_is_one_page_without_rows() {
    let (server, mut datasets, _folder) = server().await;
    let mut client = server.client("alice").await;
    train_and_upload(&mut client, &mut datasets, &readings(100, 2)).await;
    for run_id in ["plain", "engineered"] {
        for detail in [Detail::Score, Detail::Full] {
            let asked = request(run_id, 100, options(AnswerRows::All, detail, FEW));
            let pages = pages(&mut client, asked).await.expect("answers");
            let [page] = &pages[..] else {
                panic!("{run_id}: {} pages", pages.len());
            };
            assert_eq!(
                (page.first_row, page.next_row, page.n_rows),
                (Some(100), Some(100), Some(100))
            );
            let (all, n_rows, n_found) = joined(&pages);
            assert_eq!((all, n_rows, n_found), (Predictions::default(), 0, 0));
            let summary = page.predictions.as_ref().and_then(|p| p.summary.as_ref());
            let summary = summary.expect("a summary");
            assert_eq!((summary.run_id.as_str(), summary.version), (run_id, 1));
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn bad_requests_are_refused_with_their_field() {
    let (server, mut datasets, _folder) = server().await;
    let mut client = server.client("alice").await;
    train_and_upload(&mut client, &mut datasets, &readings(100, 2)).await;
    let options = options(AnswerRows::All, Detail::Score, FEW);
    let asked = |change: fn(&mut PredictDatasetRequest)| {
        let mut request = request("plain", 0, options);
        change(&mut request);
        request
    };
    for (request, code, field) in [
        (
            asked(|r| r.first_row = 101),
            Code::InvalidArgument,
            "first_row",
        ),
        (
            asked(|r| r.first_row = u64::MAX),
            Code::InvalidArgument,
            "first_row",
        ),
        (
            asked(|r| r.dataset_id = "none".to_owned()),
            Code::NotFound,
            "dataset_id",
        ),
        (
            asked(|r| r.dataset_id = String::new()),
            Code::InvalidArgument,
            "dataset_id",
        ),
        (
            asked(|r| r.run_id = String::new()),
            Code::InvalidArgument,
            "run_id",
        ),
        (asked(|r| r.run_id = "none".to_owned()), Code::NotFound, ""),
        (asked(|r| r.version = number(9)), Code::NotFound, "version"),
        (
            asked(|r| r.version = number(0)),
            Code::InvalidArgument,
            "version",
        ),
        (
            asked(|r| r.row_id_column = "none".to_owned()),
            Code::InvalidArgument,
            "row_id_column",
        ),
        (
            asked(|r| {
                r.answer = Some(AnswerOptions {
                    rows: 9,
                    ..AnswerOptions::default()
                })
            }),
            Code::InvalidArgument,
            "answer.rows",
        ),
    ] {
        let refused = refusal(pages(&mut client, request).await);
        assert_eq!(
            (refused.code, refused.field.as_str()),
            (code, field),
            "{refused:?}"
        );
    }
    let bob = server.client("bob").await;
    let of_another = refusal(pages(&mut { bob }, request("plain", 0, options)).await);
    assert_eq!(of_another.reason, "RUN_NOT_FOUND");
    server.stop().await;
}

#[tokio::test]
async fn a_bad_row_is_named_wherever_the_pages_begin() {
    let (server, mut datasets, _folder) = server().await;
    let mut client = server.client("alice").await;
    let flexible = TrainingSpec {
        feature_policy: FeaturePolicy::Flexible.into(),
        ..TrainingSpec::default()
    };
    trained(
        &mut client,
        train_request("strict", xy(normal_rows(300, 1))),
    )
    .await;
    trained(
        &mut client,
        train_as("flexible", xy(normal_rows(300, 1)), flexible),
    )
    .await;
    let line = |i: usize| match i {
        15_000 | 17_000 => "{\"x\":1}\n".to_owned(),
        _ => format!("{{\"x\":{},\"y\":2}}\n", i % 10),
    };
    let lines: String = (0..ROWS).map(line).collect();
    upload(&mut datasets, "lines", lines.as_bytes())
        .await
        .expect("uploads");
    let asked = |run_id: &str, first_row| PredictDatasetRequest {
        first_row,
        answer: Some(options(AnswerRows::All, Detail::Score, FEW)),
        ..pages_request(run_id, "lines")
    };
    // even if the pages begin after it: rows before the first one are read, too
    for first_row in [0, 14_999, 15_000, 15_001, 16_999, 19_000] {
        let refused = refusal(pages(&mut client, asked("strict", first_row)).await);
        assert_eq!(refused.field, "dataset_id", "{refused:?}");
        let place = "row 15000: no value is given for \"y\"";
        assert!(refused.message.starts_with(place), "{refused:?}");
    }
    // the rows before it are answered
    let mut stream = client
        .predict_dataset(asked("strict", 0))
        .await
        .expect("begins")
        .into_inner();
    let page = stream
        .message()
        .await
        .expect("a page")
        .expect("not the end");
    assert_eq!(page.first_row, Some(0));
    let all = pages(&mut client, asked("flexible", 0)).await;
    assert_eq!(joined(&all.expect("answers")).1, ROWS as u64);
    server.stop().await;
}

#[tokio::test]
async fn deleting_a_dataset_does_not_disturb_its_pages() {
    let (server, mut datasets, _folder) = server().await;
    let mut client = server.client("alice").await;
    train_and_upload(&mut client, &mut datasets, &readings(ROWS, 2)).await;
    let asked = || request("plain", 0, options(AnswerRows::All, Detail::Score, FEW));
    let stream = client.predict_dataset(asked()).await.expect("begins");
    delete(&mut datasets, "readings").await.expect("deletes");
    let mut stream = stream.into_inner();
    let mut next_row = None;
    while let Some(page) = stream.message().await.expect("a page") {
        next_row = page.next_row;
    }
    assert_eq!(next_row, Some(ROWS as u64));
    assert_eq!(
        refusal(pages(&mut client, asked()).await).reason,
        "DATASET_NOT_FOUND"
    );
    server.stop().await;
}
