//! A server in this process, clients with a token, and short ways to say things.

use std::net::SocketAddr;
use std::path::Path;

use anomalyd::config::{Config, Flags};
use anomalyd::proto::v1::anomaly_service_client::AnomalyServiceClient;
use anomalyd::proto::v1::predict_stream_request::Part;
use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::{
    Detail, GetModelRequest, Matrix, Model, PredictRequest, PredictResponse, PredictStreamEnd,
    PredictStreamHeader, PredictStreamRequest, Records, TrainRequest, UpdateRequest,
};
use anomalyd::server::Application;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

pub(crate) type Client = AnomalyServiceClient<InterceptedService<Channel, Token>>;

/// Puts a token on every request.
#[derive(Clone)]
pub(crate) struct Token(Option<MetadataValue<Ascii>>);

impl Token {
    pub(crate) fn bearer(token: &str) -> Self {
        Self(Some(format!("Bearer {token}").parse().expect("ascii")))
    }
}

impl tonic::service::Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// A running server. Stopping it keeps the folder, so that it can be started again.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Where metrics are served, if they are.
    pub(crate) metrics: Option<SocketAddr>,
    stop: oneshot::Sender<()>,
    stopped: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(folder: &Path) -> Self {
        Self::start_with(folder, |_| {}).await
    }

    pub(crate) async fn start_with(folder: &Path, configure: impl FnOnce(&mut Flags)) -> Self {
        let mut flags = Flags {
            listen: Some("127.0.0.1:0".to_owned()),
            data_dir: Some(folder.to_str().expect("a printable path").to_owned()),
            ..Flags::default()
        };
        configure(&mut flags);
        let config = Config::load(&flags).expect("a valid configuration");
        let application = Application::build(config).await.expect("the server starts");
        let address = application.local_addr().expect("listens on TCP");
        let metrics = application.metrics_addr();
        let (stop, asked_to_stop) = oneshot::channel::<()>();
        let stopped = tokio::spawn(async move {
            let shutdown = async {
                asked_to_stop.await.ok();
            };
            application
                .run_until_stopped(shutdown)
                .await
                .expect("the server stops cleanly");
        });
        Self {
            address,
            metrics,
            stop,
            stopped,
        }
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).expect("the server runs");
        self.stopped.await.expect("the server stops");
    }

    pub(crate) async fn client(&self, token: &str) -> Client {
        self.client_with(Some(&format!("Bearer {token}"))).await
    }

    pub(crate) async fn client_with(&self, authorization: Option<&str>) -> Client {
        let token = Token(authorization.map(|value| value.parse().expect("ascii")));
        AnomalyServiceClient::with_interceptor(self.channel().await, token)
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX)
    }

    pub(crate) async fn channel(&self) -> Channel {
        let endpoint =
            Channel::from_shared(format!("http://{}", self.address)).expect("a valid address");
        endpoint.connect().await.expect("the server accepts")
    }
}

/// A server in a folder of its own, and a client of it.
pub(crate) async fn server() -> (Server, Client, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start(folder.path()).await;
    let client = server.client("alice").await;
    (server, client, folder)
}

/// Rows of two features around (0, 5), one value after the other, the same for the same seed.
pub(crate) fn normal_rows(n: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut uniform = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..n)
        .flat_map(|_| {
            let (radius, angle) = (
                (-2.0 * (1.0 - uniform()).ln()).sqrt(),
                uniform() * std::f64::consts::TAU,
            );
            [radius * angle.cos(), 5.0 + radius * angle.sin()]
        })
        .collect()
}

pub(crate) fn matrix(names: &[&str], values: Vec<f64>) -> Records {
    Records {
        form: Some(Form::Matrix(Matrix {
            feature_names: names.iter().map(|&name| name.to_owned()).collect(),
            values,
            ..Matrix::default()
        })),
    }
}

/// A matrix of the features `x` and `y`.
pub(crate) fn xy(values: Vec<f64>) -> Records {
    matrix(&["x", "y"], values)
}

/// JSON as the `rows` of records.
pub(crate) fn rows(json: serde_json::Value) -> Records {
    match value(json).kind {
        Some(prost_types::value::Kind::ListValue(list)) => Records {
            form: Some(Form::Rows(list)),
        },
        _ => panic!("rows are an array"),
    }
}

fn value(json: serde_json::Value) -> prost_types::Value {
    use prost_types::value::Kind;
    use serde_json::Value as Json;
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(b) => Kind::BoolValue(b),
        Json::Number(n) => Kind::NumberValue(n.as_f64().expect("a double")),
        Json::String(s) => Kind::StringValue(s),
        Json::Array(values) => Kind::ListValue(prost_types::ListValue {
            values: values.into_iter().map(value).collect(),
        }),
        Json::Object(fields) => Kind::StructValue(prost_types::Struct {
            fields: fields
                .into_iter()
                .map(|(name, field)| (name, value(field)))
                .collect(),
        }),
    };
    prost_types::Value { kind: Some(kind) }
}

pub(crate) fn train_request(run_id: &str, records: Records) -> TrainRequest {
    TrainRequest {
        run_id: run_id.to_owned(),
        records: Some(records),
        ..TrainRequest::default()
    }
}

/// Trains the default detector on 500 normal rows of `x` and `y`.
pub(crate) async fn train(client: &mut Client, run_id: &str) -> Model {
    let request = train_request(run_id, xy(normal_rows(500, 1)));
    model(
        client
            .train(request)
            .await
            .expect("trains")
            .into_inner()
            .model,
    )
}

pub(crate) async fn update(
    client: &mut Client,
    run_id: &str,
    records: Records,
) -> Result<Model, Status> {
    let request = UpdateRequest {
        run_id: run_id.to_owned(),
        records: Some(records),
        ..UpdateRequest::default()
    };
    Ok(model(client.update(request).await?.into_inner().model))
}

pub(crate) async fn predict(
    client: &mut Client,
    run_id: &str,
    records: Records,
) -> Result<PredictResponse, Status> {
    let request = PredictRequest {
        run_id: run_id.to_owned(),
        records: Some(records),
        ..PredictRequest::default()
    };
    Ok(client.predict(request).await?.into_inner())
}

/// The scores of at least two rows.
pub(crate) async fn scores(client: &mut Client, run_id: &str, records: Records) -> Vec<f64> {
    predict(client, run_id, records)
        .await
        .expect("predicts")
        .scores
}

/// The scores of any number of rows.
pub(crate) async fn all_scores(client: &mut Client, run_id: &str, records: Records) -> Vec<f64> {
    let request = PredictRequest {
        run_id: run_id.to_owned(),
        records: Some(records),
        detail: Detail::Scores.into(),
        version: 0,
    };
    client
        .predict(request)
        .await
        .expect("predicts")
        .into_inner()
        .scores
}

pub(crate) async fn trained(client: &mut Client, request: TrainRequest) -> Model {
    let response = client.train(request).await.expect("trains");
    model(response.into_inner().model)
}

pub(crate) async fn get_model(client: &mut Client, run_id: &str) -> Result<Model, Status> {
    let request = GetModelRequest {
        run_id: run_id.to_owned(),
        version: 0,
    };
    Ok(model(client.get_model(request).await?.into_inner().model))
}

pub(crate) fn model(model: Option<Model>) -> Model {
    model.expect("a response describes its model")
}

pub(crate) fn header(run_id: &str) -> PredictStreamHeader {
    PredictStreamHeader {
        run_id: run_id.to_owned(),
        ..PredictStreamHeader::default()
    }
}

pub(crate) fn part(part: Part) -> PredictStreamRequest {
    PredictStreamRequest { part: Some(part) }
}

pub(crate) fn end(rows: Option<u64>) -> PredictStreamRequest {
    part(Part::End(PredictStreamEnd { rows }))
}

/// The code, reason and field of an error, after checking what every error must carry.
#[track_caller]
pub(crate) fn refusal<T: std::fmt::Debug>(outcome: Result<T, Status>) -> Refusal {
    let status = outcome.expect_err("should be refused");
    let details = status.get_error_details();
    let info = details
        .error_info()
        .unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!(info.domain, "anomalyd", "{status:?}");
    assert!(!status.message().is_empty(), "{status:?}");
    Refusal {
        code: status.code(),
        reason: info.reason.clone(),
        field: details
            .bad_request()
            .and_then(|bad| bad.field_violations.first())
            .map(|violation| violation.field.clone())
            .unwrap_or_default(),
        message: status.message().to_owned(),
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) reason: String,
    pub(crate) field: String,
    pub(crate) message: String,
}
