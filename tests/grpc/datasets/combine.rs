//! CombineDatasets: appends rows and matches columns by name.

use anomalyd::proto::v1::{ColumnType, CombineDatasetsRequest, FileFormat, UploadDatasetHeader};
use tonic::Code;

use super::{
    combine, files, get, header, messages, n_files, of_dataset, send, server, until_files, upload,
};
use crate::grpc::harness::{refusal, rows, scores, train_request};

#[tokio::test]
async fn columns_are_united_by_name_and_rows_keep_their_order() {
    let (server, mut client, _folder) = server().await;
    upload(&mut client, "one", b"a,b,s\n1,10,x\n2,20,y\n")
        .await
        .expect("uploads");
    upload(&mut client, "two", b"c,a,b\ntrue,3,\nfalse,4,\n")
        .await
        .expect("uploads");
    let both = combine(&mut client, &["one", "two", "one"], "both")
        .await
        .expect("combines");
    assert_eq!(get(&mut client, "both").await.expect("is there"), both);
    assert_eq!((both.n_rows, both.n_columns), (6, 4));
    assert_eq!(both.format(), FileFormat::ArrowIpc);
    let names: Vec<&str> = both
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b", "s", "c"]);
    let types: Vec<ColumnType> = both.columns.iter().map(|column| column.r#type()).collect();
    use ColumnType::{Boolean, Number, Text};
    assert_eq!(types, [Number, Number, Text, Boolean]);
    let n_missing: Vec<u64> = both
        .columns
        .iter()
        .flat_map(|column| column.n_missing)
        .collect();
    assert_eq!(n_missing, [0, 2, 2, 4]);
    assert_eq!(
        (both.columns[0].min, both.columns[0].max),
        (Some(1.0), Some(4.0))
    );

    // it is learned from and scored like the same rows
    let mut anomaly = server.client("alice").await;
    let inline = rows(serde_json::json!([
        {"a": 1, "b": 10, "s": "x", "c": null}, {"a": 2, "b": 20, "s": "y", "c": null},
        {"a": 3, "b": null, "s": null, "c": true}, {"a": 4, "b": null, "s": null, "c": false},
        {"a": 1, "b": 10, "s": "x", "c": null}, {"a": 2, "b": 20, "s": "y", "c": null},
    ]));
    let request = train_request("run", of_dataset("both"));
    anomaly.train(request).await.expect("trains");
    assert_eq!(
        scores(&mut anomaly, "run", of_dataset("both")).await,
        scores(&mut anomaly, "run", inline).await
    );
    server.stop().await;
}

#[tokio::test]
async fn formats_may_differ_and_the_result_can_be_combined_again() {
    let (server, mut client, _folder) = server().await;
    let all = files::all();
    let mut ids = Vec::new();
    for (index, (_, content)) in all.iter().enumerate() {
        let id = index.to_string();
        upload(&mut client, &id, content).await.expect("uploads");
        ids.push(id);
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let first = combine(&mut client, &ids, "first").await.expect("combines");
    let n = all.len() as u64;
    assert_eq!((first.n_rows, first.n_columns), (4 * n, 3));
    assert_eq!(first.columns[0].n_missing, Some(n));
    assert_eq!(first.columns[0].mean, Some(3.0));
    assert_eq!(first.columns[2].n_distinct, Some(3));
    let second = combine(&mut client, &["first", "0"], "")
        .await
        .expect("combines");
    assert_eq!(second.n_rows, 4 * n + 4);
    assert!(!second.dataset_id.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn types_must_fit() {
    let (server, mut client, folder) = server().await;
    for (id, content) in [
        ("numbers", &b"a,b\n1,1\n"[..]),
        ("texts", b"b,a\n2,x\n"),
        ("booleans", b"a\ntrue\n"),
        ("nothing", b"a,b\n,7\n"),
    ] {
        upload(&mut client, id, content).await.expect("uploads");
    }
    let n = n_files(folder.path());
    let refused = refusal(combine(&mut client, &["nothing", "numbers", "texts"], "x").await);
    assert_eq!(
        (
            refused.code,
            refused.reason.as_str(),
            refused.field.as_str()
        ),
        (Code::InvalidArgument, "COLUMN_TYPE_CLASH", "dataset_ids[2]")
    );
    assert!(
        refused.message.starts_with(
            "column \"a\" is of type number in the dataset \"numbers\" and of type text in the dataset \"texts\""
        ),
        "{refused:?}"
    );
    until_files(folder.path(), n).await;
    for (ids, expected) in [
        (["booleans", "numbers"], ColumnType::Number),
        (["numbers", "booleans"], ColumnType::Number),
        (["booleans", "booleans"], ColumnType::Boolean),
        (["nothing", "texts"], ColumnType::Text),
        (["texts", "nothing"], ColumnType::Text),
        (["nothing", "nothing"], ColumnType::Number),
    ] {
        let dataset = combine(&mut client, &ids, "").await.expect("combines");
        let a = dataset.columns.iter().find(|column| column.name == "a");
        assert_eq!(a.expect("has it").r#type(), expected, "{ids:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn bad_requests_say_what_is_wrong_and_a_retry_gets_the_same_answer() {
    let (server, mut client, folder) = server().await;
    upload(&mut client, "one", b"a\n1\n")
        .await
        .expect("uploads");
    let n = n_files(folder.path());
    for (ids, field) in [
        (vec![], "dataset_ids"),
        (vec!["one"; 101], "dataset_ids"),
        (vec!["one", ""], "dataset_ids[1]"),
    ] {
        let refused = refusal(combine(&mut client, &ids, "x").await);
        assert_eq!(
            (refused.code, refused.field.as_str()),
            (Code::InvalidArgument, field)
        );
    }
    let refused = refusal(combine(&mut client, &["one", "none"], "x").await);
    assert_eq!(
        (
            refused.code,
            refused.reason.as_str(),
            refused.field.as_str()
        ),
        (Code::NotFound, "DATASET_NOT_FOUND", "dataset_ids[1]")
    );
    let refused = refusal(combine(&mut client, &["one", "one"], "one").await);
    assert_eq!(refused.code, Code::AlreadyExists);
    until_files(folder.path(), n).await;

    let request = CombineDatasetsRequest {
        dataset_ids: vec!["one".to_owned(); 2],
        dataset_id: String::new(),
        request_id: "r-1".to_owned(),
    };
    let first = client
        .combine_datasets(request.clone())
        .await
        .expect("combines")
        .into_inner();
    let again = client
        .combine_datasets(request.clone())
        .await
        .expect("answers")
        .into_inner();
    assert_eq!(first, again);
    assert_eq!(n_files(folder.path()), n + 2);
    let of_others = CombineDatasetsRequest {
        dataset_ids: vec!["one".to_owned()],
        ..request.clone()
    };
    let upload = UploadDatasetHeader {
        request_id: request.request_id,
        ..header("")
    };
    let refused = [
        refusal(client.combine_datasets(of_others).await),
        refusal(send(&mut client, messages(upload, b"a\n1\n", 10)).await),
    ];
    for refused in refused {
        assert_eq!(refused.reason, "REQUEST_ID_REUSED");
    }
    server.stop().await;
}
