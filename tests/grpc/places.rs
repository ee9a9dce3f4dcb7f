//! Where errors in rows are said to be: the field of the request, down to the cell, in every form of records, and the row in the
//! message, counted from the start.

use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::typed_column::Values;
use anomalyd::proto::v1::{
    Columns, CsvOptions, FileContent, Matrix, NumberValues, PredictDatasetRequest, Records,
    TrainingSpec, TypedColumn,
};
use serde_json::json;

use crate::grpc::datasets::{self, of_dataset, pages, pages_request};
use crate::grpc::harness::{
    Client, Refusal, header, in_form, matrix, predict, refusal, rows, server, stream, streamed,
    table, train, train_as, trained, update, xy,
};

fn numbers(values: &[f64]) -> Values {
    Values::Numbers(NumberValues {
        values: values.to_vec(),
    })
}

fn texts(values: &[&str]) -> Values {
    Values::Texts(values.iter().collect())
}

fn columns(columns: Vec<(&str, Values)>) -> Records {
    let column = |(name, values): (&str, Values)| TypedColumn {
        name: name.to_owned(),
        values: Some(values),
        missing_rows: Vec::new(),
    };
    in_form(Form::Columns(Columns {
        columns: columns.into_iter().map(column).collect(),
    }))
}

fn file(content: &str, csv: CsvOptions) -> Records {
    in_form(Form::File(FileContent {
        content: content.as_bytes().to_vec().into(),
        csv: Some(csv),
        ..FileContent::default()
    }))
}

async fn refused(client: &mut Client, records: Records) -> Refusal {
    refusal(predict(client, "run", records).await)
}

#[tokio::test]
async fn a_cell_is_named_in_every_form() {
    let (server, mut client, _folder) = server().await;
    train(&mut client, "run").await;
    let json = "[{\"x\": null, \"y\": 2}, {\"x\": \"far\", \"y\": 2}]";
    let by_name = "row 1, column \"x\": ";
    for (records, field, message) in [
        (
            rows(json!([{"x": null, "y": 2}, {"x": "far", "y": 2}])),
            "rows[1].x",
            by_name,
        ),
        (
            rows(json!([[null, 2], ["far", 2]])),
            "rows[1][0]",
            "row 1, column \"f0\": feature \"x\" held numbers",
        ),
        (
            table(json!({"x": [null, "far"], "y": [2, 2]})),
            "table.x[1]",
            by_name,
        ),
        (
            columns(vec![
                ("y", numbers(&[2.0, 2.0])),
                ("x", texts(&["far", "off"])),
            ]),
            "columns.columns[1].texts.values[0]",
            "row 0, column \"x\": ",
        ),
        (file(json, CsvOptions::default()), "file", by_name),
    ] {
        let refused = refused(&mut client, records).await;
        assert_eq!(refused.field, format!("records.{field}"), "{refused:?}");
        assert_eq!(refused.reason, "TEXT_VALUE", "{refused:?}");
        assert!(refused.message.starts_with(message), "{refused:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_column_is_named_in_every_form() {
    let (server, mut client, _folder) = server().await;
    train(&mut client, "run").await;
    let xy = |name: &'static str| {
        let one = || numbers(&[1.0]);
        columns(vec![("x", one()), ("y", one()), (name, one())])
    };
    let unequal = columns(vec![("x", numbers(&[1.0])), ("y", numbers(&[1.0, 2.0]))]);
    for (records, field, message) in [
        (xy("z"), "columns.columns[2]", "unknown feature \"z\""),
        (xy("x"), "columns.columns[2]", "both named \"x\""),
        (xy(""), "columns.columns[2]", "empty name"),
        (
            // the column of ids counts, too
            Records {
                row_id_column: "id".to_owned(),
                ..columns(vec![
                    ("id", numbers(&[1.0])),
                    ("x", numbers(&[1.0])),
                    ("y", numbers(&[1.0])),
                    ("z", numbers(&[1.0])),
                ])
            },
            "columns.columns[3]",
            "unknown feature \"z\"",
        ),
        (unequal, "columns.columns[1]", "column \"y\" has 2 values"),
        (
            table(json!({"x": [1], "y": [1], "z": [1]})),
            "table.z",
            "unknown feature \"z\"",
        ),
        (
            matrix(&["x", "y", "z"], vec![1.0; 3]),
            "matrix.feature_names[2]",
            "unknown feature \"z\"",
        ),
        (
            rows(json!([{"x": 1, "y": 1}, {"y": 1}])),
            "rows[1]",
            "row 1: no value is given for \"x\"",
        ),
        (
            file("[{\"x\": 1, \"y\": 1}, {\"y\": 1}]", CsvOptions::default()),
            "file",
            "row 1: no value is given for \"x\"",
        ),
    ] {
        let refused = refused(&mut client, records).await;
        assert_eq!(refused.field, format!("records.{field}"), "{refused:?}");
        assert!(refused.message.contains(message), "{refused:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn labels_are_named_by_their_row() {
    let (server, mut client, _folder) = server().await;
    let spec = || TrainingSpec {
        label_column: "bad".to_owned(),
        ..TrainingSpec::default()
    };
    let in_a_column = rows(json!([{"x": 1, "bad": 0}, {"x": 2, "bad": 7}]));
    let refused = refusal(client.train(train_as("run", in_a_column, spec())).await);
    assert_eq!(refused.field, "records.rows[1].bad", "{refused:?}");
    assert!(
        refused
            .message
            .starts_with("row 1, column \"bad\": 7 is not a label"),
        "{refused:?}"
    );
    let beside = in_form(Form::Matrix(Matrix {
        n_columns: 1,
        values: vec![1.0, 2.0, 3.0],
        labels: vec![0.0, 1.0, 7.0],
        ..Matrix::default()
    }));
    train(&mut client, "run").await;
    let spec = TrainingSpec::default();
    let refused = refusal(client.train(train_as("run", beside, spec)).await);
    assert_eq!(refused.field, "records.matrix.labels[2]", "{refused:?}");
    server.stop().await;
}

#[tokio::test]
async fn times_and_texts_are_named_in_updates_and_streams() {
    let (server, mut client, _folder) = server().await;
    let day = |day: usize| json!({"when": format!("2024-03-{day:02}"), "x": day % 5});
    let engineered = TrainingSpec {
        target_column: "x".to_owned(),
        feature_engineering: Some(Default::default()),
        ..TrainingSpec::default()
    };
    let training = rows((1..=28).map(day).collect());
    trained(&mut client, train_as("run", training, engineered)).await;
    let bad = || rows(json!([day(29), {"when": "soon", "x": 1}]));
    let updated = refusal(update(&mut client, "run", bad()).await);
    assert_eq!(updated.field, "records.rows[1].when", "{updated:?}");
    assert!(
        updated.message.starts_with("row 1, column \"when\": "),
        "{updated:?}"
    );

    // the path is that in the message, and the row is counted from the start of the stream
    let good = rows(json!([day(29), day(30)]));
    let streamed = streamed(&mut client, stream(header("run"), [good, bad()])).await;
    let streamed = refusal(streamed);
    assert_eq!(streamed.field, "records.rows[1].when", "{streamed:?}");
    assert!(
        streamed.message.starts_with("row 3, column \"when\": "),
        "{streamed:?}"
    );
    server.stop().await;
}

#[tokio::test]
async fn options_of_csv_are_named_where_they_are() {
    let (server, mut client, _folder) = server().await;
    train(&mut client, "run").await;
    let text = str::to_owned;
    for (field, csv) in [
        (
            "decimal",
            CsvOptions {
                decimal: text(";"),
                ..CsvOptions::default()
            },
        ),
        (
            "encoding",
            CsvOptions {
                encoding: text("none"),
                ..CsvOptions::default()
            },
        ),
        (
            "quote",
            CsvOptions {
                quote: text(","),
                delimiter: text(","),
                ..CsvOptions::default()
            },
        ),
        (
            "text_columns",
            CsvOptions {
                text_columns: vec![text("z")],
                ..CsvOptions::default()
            },
        ),
    ] {
        let refused = refused(&mut client, file("x,y\n1,2\n", csv)).await;
        assert_eq!(refused.field, format!("records.file.csv.{field}"));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_column_of_ids_is_told_from_one_that_is_missing() {
    let (server, mut client, _folder) = server().await;
    let ids = || Records {
        row_id_column: "i".to_owned(),
        ..rows(json!([{"i": 1, "x": 1}, {"i": 2, "x": 2}, {"i": 3, "x": 5}]))
    };
    let with = |roles: TrainingSpec| train_as("run", ids(), roles);
    let i = || vec!["i".to_owned()];
    for spec in [
        TrainingSpec {
            ignore_columns: i(),
            ..TrainingSpec::default()
        },
        TrainingSpec {
            feature_columns: i(),
            ..TrainingSpec::default()
        },
    ] {
        let refused = refusal(client.train(with(spec)).await);
        assert!(
            refused
                .message
                .starts_with("the column \"i\" holds the row ids"),
            "{refused:?}"
        );
    }
    let nope = TrainingSpec {
        feature_columns: vec!["nope".to_owned()],
        ..TrainingSpec::default()
    };
    let refused_name = refusal(client.train(with(nope)).await);
    assert_eq!(refused_name.field, "spec.feature_columns");
    assert_eq!(
        refused_name.message,
        "there is no column \"nope\" for feature_columns"
    );

    train(&mut client, "run").await;
    let feature = Records {
        row_id_column: "x".to_owned(),
        ..matrix(&["x", "y"], vec![1.0, 2.0])
    };
    let refused = refused(&mut client, feature).await;
    assert_eq!(refused.field, "records.row_id_column");
    assert!(
        refused.message.contains("\"x\" is named as row_id_column"),
        "{refused:?}"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_column_without_a_name_can_hold_the_ids() {
    let (server, mut client, _folder) = server().await;
    train(&mut client, "run").await;
    let by = |column: &str, records: Records| Records {
        row_id_column: column.to_owned(),
        ..records
    };
    let no_header = CsvOptions {
        has_header: Some(false),
        ..CsvOptions::default()
    };
    let plain = predict(&mut client, "run", xy(vec![1.0, 2.0, 3.0, 4.0])).await;
    let plain = plain.expect("predicts").scores;
    for records in [
        by("f0", rows(json!([[7, 1, 2], [8, 3, 4]]))),
        by("f1", rows(json!([[1, 7, 2], [3, 8, 4]]))),
        by("f0", file("7,1,2\n8,3,4\n", no_header.clone())),
        by(
            "f2",
            in_form(Form::Matrix(Matrix {
                n_columns: 3,
                values: vec![1.0, 2.0, 7.0, 3.0, 4.0, 8.0],
                ..Matrix::default()
            })),
        ),
    ] {
        let found = predict(&mut client, "run", records).await.expect("scores");
        assert_eq!(found.row_ids, ["7", "8"]);
        assert_eq!(found.scores, plain);
    }

    // the other columns keep their names, also those in errors
    let training = by("f0", rows(json!([[1, 1, 2], [2, 3, 4], [3, 5, 0]])));
    let spec = TrainingSpec {
        ignore_columns: vec!["f2".to_owned()],
        ..TrainingSpec::default()
    };
    let model = trained(&mut client, train_as("unnamed", training, spec)).await;
    assert_eq!(model.feature_names, ["f1"]);
    let refused = refused(&mut client, by("f0", rows(json!([[7, "far", 2]])))).await;
    assert_eq!(refused.field, "records.rows[0][1]", "{refused:?}");
    assert!(
        refused.message.starts_with("row 0, column \"f1\": "),
        "{refused:?}"
    );

    let mut owner = datasets::client(&server, "alice").await;
    let content = b"7,1,2\n8,3,4\n";
    datasets::upload_with(&mut owner, "unnamed", content, no_header)
        .await
        .expect("uploads");
    let asked = PredictDatasetRequest {
        row_id_column: "f0".to_owned(),
        ..pages_request("run", "unnamed")
    };
    let paged = pages(&mut client, asked).await.expect("answers");
    let paged = paged[0].predictions.as_ref().expect("predictions");
    assert_eq!(paged.row_ids, ["7", "8"]);
    let found = predict(&mut client, "run", by("f0", of_dataset("unnamed"))).await;
    assert_eq!(found.expect("scores").scores, plain);
    server.stop().await;
}
