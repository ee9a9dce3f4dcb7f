//! Neither the form of the rows nor the other rows of a request change an answer.

use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::{FileContent, FileFormat, Matrix, Records};

use crate::grpc::harness::{
    by, in_form, matrix, normal_rows, predict, rows, scores, server, spec, stream_scores, table,
    train_as, train_request, trained, xy,
};

fn packed(values: &[f64]) -> Records {
    in_form(Form::Matrix(Matrix {
        n_columns: 2,
        values_f64le: values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
        ..Matrix::default()
    }))
}

fn objects(values: &[f64]) -> Records {
    rows(
        values
            .chunks(2)
            .map(|row| serde_json::json!({"x": row[0], "y": row[1]}))
            .collect(),
    )
}

fn arrays(values: &[f64]) -> Records {
    rows(
        values
            .chunks(2)
            .map(|row| serde_json::json!([row[0], row[1]]))
            .collect(),
    )
}

fn csv(values: &[f64]) -> Records {
    let mut content = "y,x\n".to_owned();
    for row in values.chunks(2) {
        content += &format!("{},{}\n", row[1], row[0]);
    }
    in_form(Form::File(FileContent {
        content: content.into(),
        format: FileFormat::Csv.into(),
        csv: None,
    }))
}

/// The columns by their names.
fn columns(values: &[f64]) -> Records {
    let column = |first: usize| values.iter().skip(first).step_by(2).collect::<Vec<_>>();
    table(serde_json::json!({"x": column(0), "y": column(1)}))
}

/// Values that are exact in single precision, as little-endian floats.
fn packed_floats(values: &[f64]) -> Records {
    in_form(Form::Matrix(Matrix {
        n_columns: 2,
        n_rows: Some(values.len() as u64 / 2),
        values_f32le: values
            .iter()
            .flat_map(|&value| (value as f32).to_le_bytes())
            .collect(),
        ..Matrix::default()
    }))
}

#[tokio::test]
async fn all_forms_train_the_same_model_and_get_the_same_scores() {
    let (server, mut client, _folder) = server().await;
    let rounded = |values: Vec<f64>| -> Vec<f64> {
        values
            .into_iter()
            .map(|value| f64::from(value as f32))
            .collect()
    };
    let (training, probe) = (rounded(normal_rows(300, 1)), rounded(normal_rows(40, 2)));
    let mut answers = Vec::new();
    for (name, form) in [
        ("objects", objects as fn(&[f64]) -> Records),
        ("matrix", |v| xy(v.to_vec())),
        ("table", columns),
    ] {
        let model = trained(&mut client, train_request(name, form(&training))).await;
        answers.push(model.statistics);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));

    let expected = scores(&mut client, "matrix", xy(probe.clone())).await;
    for form in [packed, packed_floats, objects, arrays, csv, columns] {
        assert_eq!(scores(&mut client, "matrix", form(&probe)).await, expected);
    }
    for run_id in ["objects", "table"] {
        assert_eq!(scores(&mut client, run_id, csv(&probe)).await, expected);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_row_scores_the_same_alone_in_any_batch_and_in_a_stream() {
    let (server, mut client, _folder) = server().await;
    for (run_id, detector) in crate::grpc::detectors::all() {
        let request = train_as(run_id, xy(normal_rows(400, 1)), by(detector));
        client.train(request).await.expect("trains");
        let probe = normal_rows(3000, 2);
        let together = scores(&mut client, run_id, xy(probe.clone())).await;
        for row in [0, 17, 1023, 1024, 2999] {
            let alone = predict(
                &mut client,
                run_id,
                xy(probe[2 * row..2 * row + 2].to_vec()),
            )
            .await
            .expect("predicts");
            assert_eq!(
                alone.rows[0].score,
                Some(together[row]),
                "{run_id} row {row}"
            );
        }
        let reversed: Vec<f64> = probe.chunks(2).rev().flatten().copied().collect();
        let mut backwards = scores(&mut client, run_id, xy(reversed)).await;
        backwards.reverse();
        assert_eq!(backwards, together, "{run_id}");
        assert_eq!(
            stream_scores(&mut client, run_id, probe.chunks(2 * 700).map(packed)).await,
            together,
            "{run_id}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn unnamed_columns_get_names_that_may_be_used_later() {
    let (server, mut client, _folder) = server().await;
    let request = train_request("unnamed", arrays(&normal_rows(50, 1)));
    let model = trained(&mut client, request).await;
    assert_eq!(model.feature_names, ["f0", "f1"]);
    let by_position = scores(&mut client, "unnamed", packed(&[0.0, 5.0, 9.0, 9.0])).await;
    let by_name = scores(
        &mut client,
        "unnamed",
        matrix(&["f1", "f0"], vec![5.0, 0.0, 9.0, 9.0]),
    )
    .await;
    assert_eq!(by_position, by_name);
    server.stop().await;
}

#[tokio::test]
async fn a_table_is_its_rows_with_texts_times_and_what_is_missing() {
    let (server, mut client, _folder) = server().await;
    let noise = normal_rows(200, 1);
    let when = |i: usize| format!("2024-03-{:02}T{:02}:00:00Z", 1 + i / 24, i % 24);
    let shop = |i: usize| ["bakery", "kiosk", "tailor"].get(i % 4).copied();
    let amount = |i: usize| (i % 9 != 4).then_some(noise[i]);
    let all = 0..200;
    let by_row = all.clone().map(
        |i| serde_json::json!({"when": when(i), "shop": shop(i), "amount": amount(i), "ok": i % 2 == 0}),
    );
    let by_row = rows(by_row.collect());
    let by_column = table(serde_json::json!({
        "when": all.clone().map(when).collect::<Vec<_>>(),
        "shop": all.clone().map(shop).collect::<Vec<_>>(),
        "amount": all.clone().map(amount).collect::<Vec<_>>(),
        "ok": all.map(|i| i % 2 == 0).collect::<Vec<_>>(),
    }));
    let first = trained(&mut client, train_request("rows", by_row.clone())).await;
    let second = trained(&mut client, train_request("table", by_column.clone())).await;
    assert_eq!(spec(&first).time_column, "when");
    assert_eq!(
        (spec(&second), &second.columns, &second.statistics),
        (spec(&first), &first.columns, &first.statistics)
    );
    let expected = scores(&mut client, "rows", by_row.clone()).await;
    for (run_id, records) in [
        ("rows", by_column.clone()),
        ("table", by_row),
        ("table", by_column),
    ] {
        assert_eq!(scores(&mut client, run_id, records).await, expected);
    }
    server.stop().await;
}
