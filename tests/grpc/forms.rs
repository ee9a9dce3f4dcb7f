//! The form that rows come in, and what else is in the request, have no influence on any answer.

use anomalyd::proto::v1::predict_stream_request::Part;
use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::{Detail, File, FileFormat, Matrix, PredictStreamHeader, Records};

use crate::harness::{
    Client, end, header, matrix, normal_rows, part, predict, rows, scores, server, train_request,
    xy,
};

fn packed(values: &[f64]) -> Records {
    Records {
        form: Some(Form::Matrix(Matrix {
            n_columns: 2,
            values_f64le: values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
            ..Matrix::default()
        })),
    }
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
    Records {
        form: Some(Form::File(File {
            content: content.into(),
            format: FileFormat::Csv.into(),
            csv: None,
        })),
    }
}

#[tokio::test]
async fn all_forms_train_the_same_model_and_get_the_same_scores() {
    let (server, mut client, _folder) = server().await;
    let training = normal_rows(300, 1);
    let probe = normal_rows(40, 2);
    let mut answers = Vec::new();
    for (name, form) in [
        ("objects", objects as fn(&[f64]) -> Records),
        ("matrix", |v| xy(v.to_vec())),
    ] {
        let trained = client
            .train(train_request(name, form(&training)))
            .await
            .expect("trains")
            .into_inner()
            .model;
        answers.push(trained.expect("described").statistics);
    }
    assert_eq!(answers[0], answers[1]);

    let expected = scores(&mut client, "matrix", xy(probe.clone())).await;
    for form in [packed, objects, arrays, csv] {
        assert_eq!(scores(&mut client, "matrix", form(&probe)).await, expected);
    }
    assert_eq!(scores(&mut client, "objects", csv(&probe)).await, expected);
    server.stop().await;
}

#[tokio::test]
async fn a_row_scores_the_same_alone_in_any_batch_and_in_a_stream() {
    let (server, mut client, _folder) = server().await;
    for (run_id, detector) in crate::detectors::all() {
        let mut request = train_request(run_id, xy(normal_rows(400, 1)));
        request.detector = Some(detector);
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
            streamed(&mut client, run_id, &probe).await,
            together,
            "{run_id}"
        );
    }
    server.stop().await;
}

async fn streamed(client: &mut Client, run_id: &str, values: &[f64]) -> Vec<f64> {
    let header = PredictStreamHeader {
        detail: Detail::Scores.into(),
        ..header(run_id)
    };
    let mut messages = vec![part(Part::Header(header))];
    messages.extend(
        values
            .chunks(2 * 700)
            .map(|chunk| part(Part::Records(packed(chunk)))),
    );
    messages.push(end(Some(values.len() as u64 / 2)));
    client
        .predict_stream(tokio_stream::iter(messages))
        .await
        .expect("streams")
        .into_inner()
        .scores
}

#[tokio::test]
async fn unnamed_columns_get_names_that_may_be_used_later() {
    let (server, mut client, _folder) = server().await;
    let trained = client
        .train(train_request("unnamed", arrays(&normal_rows(50, 1))))
        .await
        .expect("trains");
    assert_eq!(
        trained.into_inner().model.expect("described").feature_names,
        ["f0", "f1"]
    );
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
