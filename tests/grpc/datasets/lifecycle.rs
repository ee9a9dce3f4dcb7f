//! Datasets are kept, listed, owned and deleted.

use anomalyd::proto::v1::{CombineDatasetsRequest, ListDatasetsRequest};
use tonic::Code;

use super::{
    client, combine, delete, files, get, header, messages, n_files, of_dataset, send, server,
    until_files, upload,
};
use crate::grpc::harness::{Server, refusal, train_request};

#[tokio::test]
async fn datasets_survive_a_restart_and_unfinished_uploads_do_not() {
    let (server, mut alice, folder) = server().await;
    let one = upload(&mut alice, "one", &files::csv())
        .await
        .expect("uploads");
    let two = combine(&mut alice, &["one", "one"], "two")
        .await
        .expect("combines");
    let mut anomaly = server.client("alice").await;
    let request = train_request("run", of_dataset("two"));
    let trained = anomaly.train(request).await.expect("trains").into_inner();
    server.stop().await;

    let n = n_files(folder.path());
    let blobs = folder.path().join("blobs");
    std::fs::write(blobs.join("0123456789abcdef0123456789abcdef"), b"lost").expect("writable");
    std::fs::write(blobs.join("0123456789abcdef0123456789abcdee.tmp"), b"half").expect("writable");

    let server = Server::start(folder.path()).await;
    assert_eq!(n_files(folder.path()), n);
    let mut alice = client(&server, "alice").await;
    assert_eq!(get(&mut alice, "one").await.expect("is there"), one);
    assert_eq!(get(&mut alice, "two").await.expect("is there"), two);
    let mut anomaly = server.client("alice").await;
    let request = train_request("again", of_dataset("two"));
    let again = anomaly.train(request).await.expect("trains").into_inner();
    assert_eq!(
        again.model.expect("described").statistics,
        trained.model.expect("described").statistics
    );
    server.stop().await;
}

#[tokio::test]
async fn two_tokens_never_see_each_others_datasets() {
    let (server, mut alice, _folder) = server().await;
    let mut bob = client(&server, "bob").await;
    let of_alice = upload(&mut alice, "same", &files::csv())
        .await
        .expect("uploads");

    let mut anomaly = server.client("bob").await;
    let absent = refusal(get(&mut bob, "same").await);
    assert_eq!(
        (absent.code, absent.reason.as_str()),
        (Code::NotFound, "DATASET_NOT_FOUND")
    );
    assert_eq!(refusal(delete(&mut bob, "same").await), absent);
    let combined = refusal(combine(&mut bob, &["same"], "mine").await);
    let trained = refusal(
        anomaly
            .train(train_request("run", of_dataset("same")))
            .await,
    );
    for (refused, field) in [
        (combined, "dataset_ids[0]"),
        (trained, "records.dataset_id"),
    ] {
        assert_eq!(
            (refused.message, refused.code),
            (absent.message.clone(), absent.code)
        );
        assert_eq!(refused.field, field);
    }
    let nothing = bob.list_datasets(ListDatasetsRequest::default()).await;
    assert!(nothing.expect("lists").into_inner().datasets.is_empty());

    let of_bob = upload(&mut bob, "same", b"a\n1\n").await.expect("uploads");
    delete(&mut bob, "same").await.expect("deletes");
    assert_ne!(of_bob.sha256, of_alice.sha256);
    assert_eq!(get(&mut alice, "same").await.expect("stays"), of_alice);

    // not even by guessing the request id that a generated dataset id came from
    let request = CombineDatasetsRequest {
        dataset_ids: vec!["same".to_owned()],
        request_id: "r-1".to_owned(),
        ..CombineDatasetsRequest::default()
    };
    alice
        .combine_datasets(request.clone())
        .await
        .expect("combines");
    assert_eq!(
        refusal(bob.combine_datasets(request).await).code,
        Code::NotFound
    );
    server.stop().await;
}

#[tokio::test]
async fn lists_come_in_pages_in_the_order_of_the_ids() {
    let (server, mut client, _folder) = server().await;
    let mut ids = ["b", "a", "c", "ä", "a-2"];
    for id in ids {
        upload(&mut client, id, &files::csv())
            .await
            .expect("uploads");
    }
    ids.sort_unstable();
    for page_size in [1, 2, 5, 0] {
        let mut listed = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = ListDatasetsRequest {
                page_size,
                page_token,
            };
            let page = client
                .list_datasets(request)
                .await
                .expect("lists")
                .into_inner();
            assert!(page_size == 0 || page.datasets.len() <= page_size as usize);
            assert!(
                page.datasets
                    .iter()
                    .all(|d| d.columns.is_empty() && d.n_rows == 4)
            );
            listed.extend(page.datasets.into_iter().map(|dataset| dataset.dataset_id));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(listed, ids, "{page_size}");
    }
    for (page_size, page_token, field) in [(1001, "", "page_size"), (1, "%", "page_token")] {
        let request = ListDatasetsRequest {
            page_size,
            page_token: page_token.to_owned(),
        };
        assert_eq!(refusal(client.list_datasets(request).await).field, field);
    }
    server.stop().await;
}

#[tokio::test]
async fn deleting_leaves_no_files_and_frees_the_id() {
    let (server, mut client, folder) = server().await;
    upload(&mut client, "one", &files::csv())
        .await
        .expect("uploads");
    assert_eq!(delete(&mut client, "one").await.expect("deletes"), Some(4));
    assert_eq!(n_files(folder.path()), 0);
    for outcome in [
        get(&mut client, "one").await.map(drop),
        delete(&mut client, "one").await.map(drop),
    ] {
        assert_eq!(refusal(outcome).reason, "DATASET_NOT_FOUND");
    }
    let parquet = files::parquet();
    let anew = upload(&mut client, "one", &parquet).await.expect("uploads");
    assert_eq!(anew.size_bytes, parquet.len() as u64);
    server.stop().await;
}

#[tokio::test]
async fn deleting_does_not_disturb_readers() {
    let (server, client, folder) = server().await;
    let content = "a,b\n".to_owned() + &"1.5,2\n3,4\n".repeat(100_000);
    for round in 0..5 {
        let mut writer = client.clone();
        let sent = messages(header("big"), content.as_bytes(), 1 << 18);
        send(&mut writer, sent).await.expect("uploads");
        let mut reader = client.clone();
        let combined = format!("combined-{round}");
        let id = combined.clone();
        let reading =
            tokio::spawn(async move { combine(&mut reader, &["big", "big"], &combined).await });
        tokio::time::sleep(std::time::Duration::from_millis(20 * round)).await;
        delete(&mut writer, "big").await.expect("deletes");
        match reading.await.expect("joined") {
            Ok(whole) => {
                assert_eq!(whole.n_rows, 400_000);
                delete(&mut writer, &id).await.expect("deletes");
            }
            // it came too late
            outcome => assert_eq!(refusal(outcome).reason, "DATASET_NOT_FOUND"),
        }
        until_files(folder.path(), 0).await;
    }
    server.stop().await;
}
