//! Row ids: given beside the rows or in a column, returned in answers, and never features.

use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::{
    AnswerRows, Detail, FileContent, PredictDatasetRequest, PredictRequest, PredictStreamHeader,
    Records, RowPrediction,
};
use serde_json::{Value, json};
use tonic::Code;

use crate::grpc::datasets::{self, joined, of_dataset, pages, pages_request};
use crate::grpc::harness::{
    answer, end, header, in_form, matrix, normal_rows, part, predict, predict_request, predicted,
    refusal, rows, server, stream, streamed, train, train_request, trained, update, xy,
};
use crate::grpc::hostile::nothing_is_stored;

/// The ids of `n` rows.
fn ids(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("row {i}")).collect()
}

/// Points, every fifth of them far away.
fn points(n: usize) -> Vec<f64> {
    let mut values = normal_rows(n, 3);
    for far in values.chunks_mut(10) {
        far[0] = 60.0;
    }
    values
}

fn beside(values: Vec<f64>, ids: &[String]) -> Records {
    Records {
        row_ids: ids.to_vec(),
        ..xy(values)
    }
}

/// Objects with the ids in a column.
fn in_a_column(values: &[f64], ids: &[Value]) -> Records {
    let row = |(row, id): (&[f64], &Value)| json!({"x": row[0], "y": row[1], "who": id});
    let rows_of = values.chunks(2).zip(ids).map(row);
    Records {
        row_id_column: "who".to_owned(),
        ..rows(rows_of.collect())
    }
}

fn csv(content: &str) -> Records {
    Records {
        row_id_column: "who".to_owned(),
        ..in_form(Form::File(FileContent {
            content: content.as_bytes().to_vec().into(),
            ..FileContent::default()
        }))
    }
}

#[tokio::test]
async fn ids_name_the_rows_of_an_answer() {
    let (server, mut client, _folder) = server().await;
    train(&mut client, "run").await;
    let (values, ids) = (points(20), ids(20));
    let plain = predict(&mut client, "run", xy(values.clone())).await;
    let plain = plain.expect("predicts");
    assert_eq!(plain.row_ids, [""; 0]);
    let texts: Vec<Value> = ids.iter().map(|id| json!(id)).collect();
    let flagged = (0..20).filter(|&row| plain.is_anomaly[row as usize]);
    let flagged: Vec<u64> = flagged.collect();
    assert!((4..20).contains(&flagged.len()), "{flagged:?}");
    let flagged_ids: Vec<&String> = flagged.iter().map(|&row| &ids[row as usize]).collect();
    let lines = values.chunks(2).zip(&ids);
    let lines = lines.map(|(row, id)| format!("{},{id},{}\n", row[0], row[1]));
    let content = format!("x,who,y\n{}", lines.collect::<String>());
    let mut owner = datasets::client(&server, "alice").await;
    datasets::upload(&mut owner, "rows", content.as_bytes())
        .await
        .expect("uploads");
    let uploaded = Records {
        row_id_column: "who".to_owned(),
        ..of_dataset("rows")
    };
    for records in [
        beside(values.clone(), &ids),
        in_a_column(&values, &texts),
        csv(&content),
        uploaded,
    ] {
        let all = predict(&mut client, "run", records.clone()).await;
        let all = all.expect("predicts");
        assert_eq!((&all.row_ids, &all.scores), (&ids, &plain.scores));

        let asked = |rows, detail| PredictRequest {
            answer: answer(rows, detail),
            ..predict_request("run", records.clone())
        };
        let some = predicted(&mut client, asked(AnswerRows::Anomalies, Detail::Score)).await;
        let some = some.expect("predicts");
        assert!(
            some.row_ids.iter().eq(flagged_ids.iter().copied()),
            "{some:?}"
        );
        assert_eq!(some.row_indices, flagged);
        let objects = predicted(&mut client, asked(AnswerRows::Anomalies, Detail::Full)).await;
        let objects = objects.expect("predicts");
        assert!(objects.row_ids.is_empty());
        let names = |rows: &[RowPrediction]| -> Vec<String> {
            rows.iter().map(|row| row.row_id.clone()).collect()
        };
        assert!(names(&objects.rows).iter().eq(flagged_ids.iter().copied()));

        // an id twice is allowed: ids are only compared within a message
        let header = PredictStreamHeader {
            answer: answer(AnswerRows::All, Detail::Full),
            ..header("run")
        };
        let messages = stream(header, [records.clone(), records]);
        let along = streamed(&mut client, messages).await.expect("streams");
        assert_eq!(names(&along.rows), [&ids[..], &ids[..]].concat());
    }
    let asked = PredictDatasetRequest {
        row_id_column: "who".to_owned(),
        ..pages_request("run", "rows")
    };
    let paged = pages(&mut client, asked).await.expect("answers");
    assert_eq!(joined(&paged).0.row_ids, ids);
    server.stop().await;
}

#[tokio::test]
async fn ids_are_texts_or_whole_numbers_and_come_back_unchanged() {
    let (server, mut client, _folder) = server().await;
    train(&mut client, "run").await;
    let numbers = [
        json!(12),
        json!(-3),
        json!(0),
        json!(9_007_199_254_740_991_u64),
    ];
    let found = predict(&mut client, "run", in_a_column(&points(4), &numbers)).await;
    let expected = ["12", "-3", "0", "9007199254740991"];
    assert_eq!(found.expect("predicts").row_ids, expected);
    let found = predict(
        &mut client,
        "run",
        csv("who,x,y\n007,1,2\n12,3,4\n1.50,1,2\nA1,0,5\n"),
    )
    .await;
    let expected = ["007", "12", "1.50", "A1"];
    assert_eq!(found.expect("predicts").row_ids, expected);
    server.stop().await;
}

#[tokio::test]
async fn a_column_of_ids_is_no_feature() {
    let (server, mut client, _folder) = server().await;
    let (values, more) = (normal_rows(300, 1), normal_rows(100, 2));
    let texts = |n: usize| ids(n).iter().map(|id| json!(id)).collect::<Vec<_>>();
    let named = train_request("named", in_a_column(&values, &texts(300)));
    let plain = train_request("plain", xy(values.clone()));
    let (named, plain) = (
        trained(&mut client, named).await,
        trained(&mut client, plain).await,
    );
    assert_eq!(named.feature_names, ["x", "y"]);
    assert_eq!(
        (named.statistics, named.columns),
        (plain.statistics, plain.columns)
    );

    let named = update(&mut client, "named", in_a_column(&more, &texts(100))).await;
    let plain = update(&mut client, "plain", xy(more)).await;
    let (named, plain) = (named.expect("updates"), plain.expect("updates"));
    assert_eq!((named.statistics, named.n_rows), (plain.statistics, 400));

    // the same for a dataset, whose ids are not compared
    let mut owner = datasets::client(&server, "alice").await;
    let lines = values.chunks(2).enumerate();
    let lines = lines.map(|(i, row)| format!("{},{},{}\n", i % 7, row[0], row[1]));
    let content = format!("who,x,y\n{}", lines.collect::<String>());
    datasets::upload(&mut owner, "rows", content.as_bytes())
        .await
        .expect("uploads");
    let records = Records {
        row_id_column: "who".to_owned(),
        ..of_dataset("rows")
    };
    let uploaded = trained(&mut client, train_request("uploaded", records)).await;
    let plain = trained(&mut client, train_request("plain", xy(values))).await;
    assert_eq!(
        (uploaded.statistics, uploaded.threshold),
        (plain.statistics, plain.threshold)
    );
    server.stop().await;
}

/// Records with bad ids, with the field and a part of the message.
fn refused() -> Vec<(Records, &'static str, &'static str)> {
    let values = || points(3);
    let texts = |ids: [&str; 3]| ids.map(str::to_owned);
    let long = "x".repeat(129);
    let column = |ids: [Value; 3]| in_a_column(&values(), &ids);
    let of_column = |records: Records, name: &str| Records {
        row_id_column: name.to_owned(),
        ..records
    };
    let both = of_column(beside(values(), &texts(["a", "b", "c"])), "x");
    let uploaded = Records {
        row_ids: vec!["a".to_owned()],
        ..of_dataset("rows")
    };
    let no_rows = Records {
        row_ids: vec!["a".to_owned()],
        ..Records::default()
    };
    vec![
        (
            beside(values(), &texts(["a", "b", "a"])),
            "row_ids[2]",
            "earlier row",
        ),
        (
            beside(values(), &texts(["a", "", "c"])),
            "row_ids[1]",
            "is empty",
        ),
        (
            beside(values(), &texts([&long, "b", "c"])),
            "row_ids[0]",
            "129 bytes",
        ),
        (
            beside(values(), &texts(["a", "b\n", "c"])),
            "row_ids[1]",
            "control characters",
        ),
        (beside(values(), &ids(2)), "row_ids", "2 row ids for 3 rows"),
        (beside(values(), &ids(4)), "row_ids", "4 row ids for 3 rows"),
        (both, "row_ids", "exclude each other"),
        (uploaded, "row_ids", "row_id_column"),
        (no_rows, "", "no rows"),
        (
            of_column(xy(values()), "who"),
            "row_id_column",
            "no column \"who\"",
        ),
        (
            of_column(rows(json!([[1, 2], [3, 4]])), "f2"),
            "row_id_column",
            "no column \"f2\"",
        ),
        (
            of_column(rows(json!([[1, 2], [3, 4]])), "f00"),
            "row_id_column",
            "no column \"f00\"",
        ),
        (
            of_column(matrix(&["who"], vec![1.0, 2.0, 3.0]), "who"),
            "row_id_column",
            "no column but",
        ),
        (
            column([json!("a"), json!("b"), json!("a")]),
            "row_id_column",
            "row 2: an earlier row has the id \"a\"",
        ),
        (
            column([json!(1), json!(2), json!(1)]),
            "row_id_column",
            "row 2: an earlier row has the id \"1\"",
        ),
        (
            column([json!("a"), json!(null), json!("c")]),
            "row_id_column",
            "row 1: there is no id",
        ),
        (
            column([json!("a"), json!(""), json!("c")]),
            "row_id_column",
            "row 1",
        ),
        (
            column([json!(1), json!(2.5), json!(3)]),
            "row_id_column",
            "row 1: the id is not a text or a whole number",
        ),
        (
            column([json!(1), json!(2), json!(9_007_199_254_740_992_u64)]),
            "row_id_column",
            "row 2: the id is a number of 2^53 or more",
        ),
        (
            csv("who,x,y\na,1,2\na,3,4\nb,1,2\n"),
            "row_id_column",
            "row 1: an earlier row has the id \"a\"",
        ),
        (
            csv("who,x,y\na,1,2\n,3,4\nb,1,2\n"),
            "row_id_column",
            "row 1: there is no id",
        ),
        (
            column([json!(1), json!(2), json!(true)]),
            "rows[2].who",
            "row 2, column \"who\": true is not an id",
        ),
    ]
}

#[tokio::test]
async fn bad_ids_are_refused_and_nothing_is_stored() {
    let (server, mut client, folder) = server().await;
    for (records, field, message) in refused() {
        let refused = refusal(client.train(train_request("bad", records)).await);
        let field = format!("records.{field}");
        assert_eq!(
            (refused.code, refused.field.as_str()),
            (Code::InvalidArgument, field.trim_end_matches('.')),
            "{refused:?}"
        );
        assert!(refused.message.contains(message), "{message}: {refused:?}");
    }
    nothing_is_stored(&mut client, folder.path()).await;

    let before = train(&mut client, "run").await;
    for (records, field, message) in refused() {
        let field = format!("records.{field}");
        for outcome in [
            predict(&mut client, "run", records.clone()).await.map(drop),
            update(&mut client, "run", records.clone()).await.map(drop),
            streamed(&mut client, stream(header("run"), [records]))
                .await
                .map(drop),
        ] {
            let refused = refusal(outcome);
            assert_eq!(
                (refused.code, refused.field.as_str()),
                (Code::InvalidArgument, field.trim_end_matches('.')),
                "{refused:?}"
            );
            assert!(refused.message.contains(message), "{message}: {refused:?}");
        }
    }
    let found = crate::grpc::harness::get_model(&mut client, "run").await;
    assert_eq!(found.expect("is there"), before);
    server.stop().await;
}

#[tokio::test]
async fn in_a_stream_all_rows_have_ids_or_none() {
    use anomalyd::proto::v1::predict_stream_request::Part;

    let (server, mut client, _folder) = server().await;
    train(&mut client, "run").await;
    let named = || beside(points(3), &ids(3));
    for records in [[named(), xy(points(3))], [xy(points(3)), named()]] {
        let refused = refusal(streamed(&mut client, stream(header("run"), records)).await);
        assert_eq!(refused.field, "records.row_ids");
        assert!(
            refused.message.starts_with("in the records from row 3 on"),
            "{refused:?}"
        );
    }
    let bad = Records {
        row_ids: vec!["a".to_owned(); 3],
        ..xy(points(3))
    };
    let messages = vec![
        part(Part::Header(header("run"))),
        part(Part::Records(named())),
        part(Part::Records(bad)),
        end(None),
    ];
    let refused = refusal(streamed(&mut client, messages).await);
    assert_eq!(refused.field, "records.row_ids[1]");
    assert!(refused.message.starts_with("row 4: "), "{refused:?}");
    server.stop().await;
}
