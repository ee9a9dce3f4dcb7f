//! Secrets and data stay where they belong: the token and the key appear nowhere in what the program prints or answers, and the
//! cells of rows in nothing but answers to the caller that sent them.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::training_spec::Detector;
use anomalyd::proto::v1::{FileContent, Gaussian, Records, TrainingSpec};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use prost::Message as _;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;

use super::generated::upload;
use super::messages::Generator;
use super::program::Program;
use super::raw::{self, Answer, Connection};
use crate::grpc::harness::{by, in_form, predict_request, rows, table, train_as, train_request};
use crate::settings::program;

const TOKEN: &str = "zqx-Planted.Token_7Vw3";
const KEY: &str = "5ec4e7b0a1d96f8372c05ec4e7b0a1d96f8372c05ec4e7b0a1d96f8372c0feed";
const TEXT: &str = "qvzPlantedCell9Kj";
const NUMBER: f64 = 918_273_645.546_372_8;

const DEADLINE: Duration = Duration::from_secs(30);

/// The random calls for each output.
const CALLS: usize = 150;

/// The bytes that the key stands for.
fn key_bytes() -> Vec<u8> {
    let digits = KEY.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(str::from_utf8(pair).expect("digits"), 16);
    digits.map(|pair| byte(pair).expect("digits")).collect()
}

/// The ways in which a text may be printed.
fn forms(secret: &str) -> Vec<String> {
    let bytes = &secret.as_bytes()[..8];
    let joined = |each: fn(&u8) -> String, joint: &str| {
        bytes.iter().map(each).collect::<Vec<_>>().join(joint)
    };
    // what follows changes the last characters
    let encoded = STANDARD.encode(&secret.as_bytes()[..9]);
    vec![
        secret.to_owned(),
        encoded,
        joined(|byte| byte.to_string(), ", "),
        joined(|byte| format!("{byte:02x}"), ""),
    ]
}

/// Checks that a secret is nowhere in what was printed or sent.
#[track_caller]
fn hides(output: &str, secret: &str, place: &str) {
    for form in forms(secret) {
        if let Some(at) = output.find(&form) {
            let start = output.floor_char_boundary(at.saturating_sub(300));
            let end = output.ceil_char_boundary((at + 300).min(output.len()));
            panic!("{place} shows {form:?}: …{}…", &output[start..end]);
        }
    }
}

#[track_caller]
fn hides_all(output: &str, place: &str) {
    for secret in [TOKEN, KEY, TEXT] {
        hides(output, secret, place);
    }
    let key = format!("{:?}", &key_bytes()[..6]);
    assert!(
        !output.contains(key.trim_matches(['[', ']'])),
        "{place} shows the key"
    );
    let number = NUMBER.to_string();
    hides(output, &number, place);
    assert!(!output.contains(&number[..12]), "{place} shows {NUMBER}");
}

/// What an answer says beside its messages.
fn said(answer: &Answer) -> String {
    format!(
        "{:?} {} {:?}",
        answer.status,
        String::from_utf8_lossy(answer.status.details()),
        answer.headers
    )
}

fn file(content: String) -> Records {
    in_form(Form::File(FileContent {
        content: content.into(),
        ..FileContent::default()
    }))
}

/// Good and bad requests with planted cells, by method.
fn requests() -> Vec<(&'static str, Vec<Bytes>)> {
    let good_rows = || {
        let all = (0..30).map(|i| json!({"x": NUMBER + f64::from(i % 5), "shop": TEXT}));
        rows(all.collect())
    };
    let by_label = TrainingSpec {
        label_column: "shop".to_owned(),
        ..TrainingSpec::default()
    };
    let by_time = TrainingSpec {
        time_column: "shop".to_owned(),
        ..TrainingSpec::default()
    };
    let with_ids = Records {
        row_ids: vec![TEXT.to_owned(); 30],
        ..good_rows()
    };
    let gaussian = || by(Detector::Gaussian(Gaussian::default()));
    let trainings = [
        train_request("run", good_rows()),
        train_as("gaussian", good_rows(), gaussian()),
        train_request("other", rows(json!([{"x": NUMBER}, {"x": TEXT}]))),
        train_request("other", rows(json!([{"x": {TEXT: NUMBER}}, {"x": [TEXT]}]))),
        train_request("other", table(json!({"x": [NUMBER, TEXT], "y": [TEXT]}))),
        train_request("other", file(format!("x,y\n1,2\n{NUMBER},{TEXT}\n"))),
        train_request("other", file(format!("x\n\"{TEXT}\n{NUMBER}\n"))),
        train_request(
            "other",
            file(format!("[{{\"x\": {NUMBER}, \"x\": {TEXT}}}]")),
        ),
        train_as("other", good_rows(), by_label),
        train_as("other", good_rows(), by_time),
        train_request("other", with_ids),
    ];
    let predictions = [
        predict_request("run", good_rows()),
        predict_request("none", good_rows()),
        predict_request("run", rows(json!([{"x": NUMBER, "shop": "never seen"}]))),
        predict_request("run", rows(json!([{"x": TEXT, "shop": NUMBER}]))),
        predict_request("run", rows(json!([{"x": NUMBER, "other": TEXT}]))),
        predict_request("run", file(format!("x,shop\n{NUMBER},{TEXT}\n{TEXT},1\n"))),
    ];
    let trainings = trainings.into_iter().map(|request| {
        (
            "AnomalyService/Train",
            vec![Bytes::from(request.encode_to_vec())],
        )
    });
    let predictions = predictions.into_iter().map(|request| {
        let message = request.encode_to_vec();
        ("AnomalyService/Predict", vec![Bytes::from(message)])
    });
    let csv = format!("x,shop\n{NUMBER},{TEXT}\n1,{TEXT}\n");
    let broken = format!("x,shop\n{NUMBER},{TEXT}\n{TEXT},{TEXT}\n1,\"{TEXT}");
    let uploads = [("table", csv), ("broken", broken)].map(|(id, content)| {
        (
            "DatasetService/UploadDataset",
            upload(id, content.as_bytes()),
        )
    });
    // a message that is cut off within a cell
    let cut = predict_request("run", good_rows()).encode_to_vec();
    let cut = Bytes::from(cut).slice(..200);
    trainings
        .chain(predictions)
        .chain(uploads)
        .chain([("AnomalyService/Predict", vec![cut])])
        .collect()
}

/// Calls with good and bad credentials and data, and checks the answers.
async fn call_all(address: SocketAddr, seed: u64) {
    let mut connection = Connection::open(address).await;
    let bearer = format!("Bearer {TOKEN}");
    let mut n_done = 0;
    for (name, messages) in requests() {
        let method = raw::method(name);
        let answer = connection.call(&method, &bearer, DEADLINE, &messages).await;
        n_done += usize::from(answer.status.code() == Code::Ok);
        // the caller's own cells may be quoted to the caller
        for secret in [TOKEN, KEY] {
            hides(&said(&answer), secret, name);
        }
    }
    assert!(n_done >= 4, "only {n_done} requests are good ones");

    let encoded = STANDARD.encode(TOKEN);
    let list = raw::method("AnomalyService/ListModels");
    for authorization in [
        TOKEN.to_owned(),
        format!("Basic {encoded}"),
        format!("Token {TOKEN}"),
        format!("Bearer{TOKEN}"),
        format!("Bearer {TOKEN} {TOKEN}"),
        format!("Bearer {TOKEN}\t{TOKEN}"),
        format!("bearer {TOKEN}"),
    ] {
        let answer = connection
            .call(&list, &authorization, DEADLINE, &[Bytes::new()])
            .await;
        hides(&said(&answer), TOKEN, &authorization);
    }

    let methods = raw::methods();
    let mut generator = Generator::planting(seed, TEXT, NUMBER);
    for _ in 0..CALLS {
        let method = generator.method(&methods);
        let messages = generator.call(method);
        let answer = connection.call(method, &bearer, DEADLINE, &messages).await;
        for secret in [TOKEN, KEY] {
            hides(&said(&answer), secret, method.full_name());
            for message in &answer.messages {
                hides(
                    &String::from_utf8_lossy(message),
                    secret,
                    method.full_name(),
                );
            }
        }
    }
}

async fn metrics(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.expect("accepted");
    let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    assert!(answer.contains("anomalyd_"), "{answer}");
    answer
}

/// All files below a folder.
fn files(folder: &Path, found: &mut Vec<Vec<u8>>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push(std::fs::read(path).expect("readable")),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_the_key_and_cells_are_in_no_log_metric_or_error() {
    for (format, seed) in [("text", 1), ("json", 2)] {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let key_file = folder.path().join("key");
        std::fs::write(&key_file, KEY).expect("writable");
        let key_file = key_file.to_str().expect("a printable path");
        let mut args = vec![
            "--log-level=trace",
            "--metrics-listen=127.0.0.1:0",
            "--log-format",
            format,
        ];
        let mut environment = Vec::new();
        match format {
            "text" => environment.push(("ANOMALYD_TOKEN_KEY", KEY)),
            _ => args.extend(["--token-key-file", key_file]),
        }
        let mut server = Program::serve(&data, &args, &environment);
        let address = server.address().await;
        let metrics_address = server.address_behind("metrics at http://").await;
        call_all(address, seed).await;
        hides_all(&metrics(metrics_address).await, "/metrics");
        server.terminate();
        let (status, output) = server.ended().await;
        assert!(status.success(), "{output}");
        // the configuration and the frames of HTTP/2 are in it
        assert!(
            output.contains("token_key = ") && output.contains("TRACE"),
            "{output}"
        );
        hides_all(&output, "the log");

        let mut stored = Vec::new();
        files(&data, &mut stored);
        let key = key_bytes();
        for bytes in stored {
            let text = String::from_utf8_lossy(&bytes);
            for secret in [TOKEN, KEY] {
                hides(&text, secret, "the data folder");
            }
            let holds_key = bytes.windows(key.len()).any(|part| part == key);
            assert!(!holds_key, "the data folder holds a key that was given");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_secret_is_said_without_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str, content: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("writable");
        path.to_str().expect("a printable path").to_owned()
    };
    let key_file = path("key", format!("{KEY}{KEY}"));
    let misspelt = path("misspelt.toml", format!("token_kye = \"{KEY}\"\n"));
    let broken = path("broken.toml", format!("token_key = \"{KEY}\n"));
    let long_key = format!("{KEY}00");
    let data = folder.path().join("data");
    let in_environment = Some(("ANOMALYD_TOKEN_KEY", long_key.as_str()));
    let servers = [
        (vec![], in_environment),
        (vec!["--token-key", &long_key], None),
        (vec!["--token-key-file", &key_file], None),
        (vec!["--config", &misspelt], None),
        (vec!["--config", &broken], None),
    ];
    for (args, environment) in servers {
        let server = Program::serve(&data, &args, environment.as_slice());
        let (status, output) = server.ended().await;
        assert!(
            !status.success() && !output.is_empty(),
            "{args:?}: {output}"
        );
        hides(&output, KEY, &format!("{args:?}"));
    }

    let token_file = path("token", format!("{TOKEN}\u{7}"));
    let clients: [(&str, &str); 3] = [
        ("ANOMALYD_TOKEN", TOKEN),
        ("ANOMALYD_TOKEN", "zqx-Planted.Token_7Vw3\u{7}"),
        ("ANOMALYD_TOKEN_FILE", &token_file),
    ];
    for (variable, value) in clients {
        let mut command = Command::new(program());
        // nobody listens there
        command
            .args(["models", "--addr", "127.0.0.1:1"])
            .env(variable, value);
        let (status, output) = Program::spawn(command).ended().await;
        assert!(!status.success() && !output.is_empty(), "{output}");
        hides(&output, TOKEN, variable);
    }
}
