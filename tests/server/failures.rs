use bytes::Bytes;
use prost::Message as _;
use prost_types::{ListValue, Value, value::Kind};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::server::support::{PREDICT, Running, call, frame, predict, predict_as};

const AUTH: (&str, &str) = ("authorization", "Bearer alice");

#[tokio::test]
async fn an_oversize_message_names_the_limit() {
    let server = Running::start(&["--max-message-bytes", "64KiB"]).await;
    for path in [PREDICT, "/anomaly.v1.AnomalyService/PredictStream"] {
        let answer = call(server.addr, path, &[AUTH], frame(&[0; 70_000])).await;
        assert_eq!(answer.status().code(), Code::ResourceExhausted, "{path}");
        assert_eq!(answer.reason(), "MESSAGE_TOO_LARGE");
        let status = answer.status();
        assert!(
            status.message().contains("of 70000 bytes"),
            "{}",
            status.message()
        );
        assert!(
            status
                .message()
                .contains("65536 bytes (`max_message_bytes`)"),
            "{}",
            status.message()
        );
    }
}

#[tokio::test]
async fn undecodable_bytes_are_a_client_error() {
    let server = Running::start(&[]).await;
    let garbage = frame(&[0xff; 20]);
    let cut_short = frame(&[1; 100]).slice(..50);
    let bad_flag = Bytes::from_static(&[9, 0, 0, 0, 0]);
    let no_encoding = Bytes::from_static(&[1, 0, 0, 0, 0]);
    for body in [garbage, cut_short, bad_flag, no_encoding, Bytes::new()] {
        for path in [PREDICT, "/anomaly.v1.AnomalyService/PredictStream"] {
            if body.is_empty() && path != PREDICT {
                continue; // an empty stream is the handler's to judge
            }
            let answer = call(server.addr, path, &[AUTH], body.clone()).await;
            assert_eq!(
                answer.status().code(),
                Code::InvalidArgument,
                "{path} {body:?}"
            );
            assert_eq!(answer.reason(), "UNDECODABLE_MESSAGE");
        }
    }
}

/// `depth` nested lists, encoded from the inside out, because prost's encoder recurses.
fn nested(depth: usize) -> Vec<u8> {
    let mut list = ListValue::default().encode_to_vec();
    for _ in 1..depth {
        // field 6 of Value, then field 1 of ListValue
        for tag in [0x32, 0x0a] {
            let mut outer = vec![tag];
            prost::encoding::encode_varint(list.len() as u64, &mut outer);
            outer.extend_from_slice(&list);
            list = outer;
        }
    }
    list
}

#[test]
fn nested_lists_are_encoded_as_prost_does() {
    let inner = Value {
        kind: Some(Kind::ListValue(ListValue::default())),
    };
    let list = ListValue {
        values: vec![inner],
    };
    assert_eq!(nested(2), list.encode_to_vec());
}

#[tokio::test]
async fn too_deeply_nested_messages_are_refused() {
    let server = Running::start(&[]).await;
    let rows = nested(200);
    // Records.rows, then PredictRequest.records
    let mut message = Vec::new();
    prost::encoding::bytes::encode(1, &rows, &mut message);
    let mut request = Vec::new();
    prost::encoding::bytes::encode(3, &message, &mut request);
    let answer = call(server.addr, PREDICT, &[AUTH], frame(&request)).await;
    assert_eq!(answer.status().code(), Code::InvalidArgument);
    assert_eq!(answer.reason(), "UNDECODABLE_MESSAGE");
    assert!(
        answer.status().message().contains("recursion limit"),
        "{:?}",
        answer.status()
    );
}

#[tokio::test]
async fn unknown_methods_are_named() {
    let server = Running::start(&[]).await;
    for path in ["/anomaly.v1.AnomalyService/Nothing", "/no.Such/Thing", "/"] {
        let answer = call(server.addr, path, &[AUTH], predict("x")).await;
        assert_eq!(answer.status().code(), Code::Unimplemented, "{path}");
        assert_eq!(answer.reason(), "UNKNOWN_METHOD");
        assert!(
            answer.status().message().contains(path),
            "{:?}",
            answer.status()
        );
    }
}

#[tokio::test]
async fn unsupported_compression_is_named() {
    let server = Running::start(&[]).await;
    let mut compressed = predict("x").to_vec();
    compressed[0] = 1;
    for encoding in ["gzip", "deflate", "zstd"] {
        let headers = [AUTH, ("grpc-encoding", encoding)];
        for body in [predict("x"), Bytes::from(compressed.clone())] {
            let answer = call(server.addr, PREDICT, &headers, body).await;
            assert_eq!(answer.status().code(), Code::Unimplemented);
            assert!(
                answer.status().message().contains(encoding),
                "{:?}",
                answer.status()
            );
            assert_eq!(answer.reason(), "UNIMPLEMENTED");
        }
    }
    let answer = call(server.addr, PREDICT, &[AUTH], compressed.into()).await;
    assert_eq!(answer.reason(), "UNDECODABLE_MESSAGE");
}

#[tokio::test]
async fn panics_and_defects_reveal_nothing_internal() {
    let server = Running::start(&[]).await;
    for run_id in ["panic", "internal"] {
        let answer = predict_as(server.addr, "alice", run_id).await;
        assert_eq!(answer.status().code(), Code::Internal, "{run_id}");
        assert_eq!(answer.reason(), "INTERNAL");
        let wire = format!("{:?}", answer.status());
        assert!(
            !wire.contains("secret") && !wire.contains("purpose"),
            "{wire}"
        );
    }
    assert_eq!(
        predict_as(server.addr, "alice", "still here").await.echo(),
        "still here"
    );
}

#[tokio::test]
async fn a_bad_field_is_named() {
    let server = Running::start(&[]).await;
    let answer = predict_as(server.addr, "alice", "field").await;
    assert_eq!(answer.reason(), "INVALID_FIELD");
    let details = answer.status().get_error_details();
    let violations = &details.bad_request().expect("bad request").field_violations;
    assert_eq!(violations[0].field, "records.rows[3]");
}

#[tokio::test]
async fn requests_over_the_memory_budget_are_refused_with_a_retry_delay() {
    let server = Running::start(&[
        "--max-message-bytes",
        "64KiB",
        "--request-memory-bytes",
        "64KiB",
    ])
    .await;
    // a request that arrives and stays
    let sleeper = tokio::spawn({
        let addr = server.addr;
        let mut body = predict("sleep").to_vec();
        let padding = prost::encoding::key_len(15) + 3 + 50_000;
        prost::encoding::bytes::encode(15, &vec![0u8; 50_000], &mut body);
        let length = u32::try_from(body.len() - 5).expect("length");
        assert!(length as usize > padding - 10);
        body[1..5].copy_from_slice(&length.to_be_bytes());
        async move { call(addr, PREDICT, &[AUTH], body.into()).await }
    });
    let answer = loop {
        let answer = call(server.addr, PREDICT, &[AUTH], padded("x", 30_000)).await;
        if answer.status().code() != Code::Ok {
            break answer;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(answer.status().code(), Code::ResourceExhausted);
    assert_eq!(answer.reason(), "OVERLOADED");
    assert!(answer.status().get_error_details().retry_info().is_some());
    let status = answer.status();
    let pushback = status.metadata().get("grpc-retry-pushback-ms");
    assert_eq!(pushback.expect("there is a delay"), "1000");

    // once it is gone there is room again
    sleeper.abort();
    while call(server.addr, PREDICT, &[AUTH], padded("x", 30_000))
        .await
        .status()
        .code()
        != Code::Ok
    {
        tokio::task::yield_now().await;
    }
}

/// A Predict with an unknown field of `bytes` bytes, which decoding skips.
fn padded(run_id: &str, bytes: usize) -> Bytes {
    let mut message = predict(run_id).slice(5..).to_vec();
    prost::encoding::bytes::encode(15, &vec![0u8; bytes], &mut message);
    frame(&message)
}

#[tokio::test]
async fn a_long_stream_counts_only_what_is_not_consumed() {
    let server = Running::start(&[
        "--max-message-bytes",
        "64KiB",
        "--request-memory-bytes",
        // two whole messages, a part of the next one, and the buffer, which has had room for one
        "160KiB",
    ])
    .await;
    let mut body = Vec::new();
    for _ in 0..100 {
        // an unknown field of a PredictStreamRequest
        let mut message = Vec::new();
        prost::encoding::bytes::encode(15, &vec![0u8; 30_000], &mut message);
        body.extend_from_slice(&frame(&message));
    }
    let path = "/anomaly.v1.AnomalyService/PredictStream";
    let answer = call(server.addr, path, &[AUTH], body.into()).await;
    assert_eq!(answer.status().code(), Code::Ok, "{:?}", answer.status());
}
