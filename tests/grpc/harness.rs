//! A server in this process, clients with a token, and helpers for requests.

use std::net::SocketAddr;
use std::path::Path;

use anomalyd::config::{Config, Flags};
use anomalyd::proto::v1::anomaly_service_client::AnomalyServiceClient;
use anomalyd::proto::v1::predict_stream_request::Part;
use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::training_spec::Detector;
use anomalyd::proto::v1::version_selector::Choice;
use anomalyd::proto::v1::{
    AnswerOptions, AnswerRows, Detail, GetModelRequest, Matrix, Model, PredictRequest,
    PredictStreamEnd, PredictStreamHeader, PredictStreamRequest, Predictions, Records,
    TrainRequest, TrainingSpec, UpdateRequest, VersionSelector,
};
use anomalyd::server::Application;
use anomalyd::store::Store;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

pub(crate) type Client = AnomalyServiceClient<InterceptedService<Channel, Token>>;

/// Adds a token to every request.
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
    /// The address of the metrics, if they are served.
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
        let application = Application::build(config).await;
        Self::run(application.expect("the server starts"))
    }

    /// Starts with a store that is open already.
    pub(crate) async fn over(store: impl Store, configure: impl FnOnce(&mut Flags)) -> Self {
        let mut flags = Flags {
            listen: Some("127.0.0.1:0".to_owned()),
            ..Flags::default()
        };
        configure(&mut flags);
        let config = Config::load(&flags).expect("a valid configuration");
        let application = Application::with_store(config, store).await;
        Self::run(application.expect("the server starts"))
    }

    fn run(application: Application<impl Store>) -> Self {
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

    /// A client with the default limit of answers, 4 MiB.
    pub(crate) async fn plain_client(&self, token: &str) -> Client {
        AnomalyServiceClient::with_interceptor(self.channel().await, Token::bearer(token))
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
        ..Records::default()
    }
}

/// A matrix of the features `x` and `y`.
pub(crate) fn xy(values: Vec<f64>) -> Records {
    matrix(&["x", "y"], values)
}

/// JSON as the `rows` of records.
pub(crate) fn rows(json: serde_json::Value) -> Records {
    match value(json).kind {
        Some(prost_types::value::Kind::ListValue(list)) => in_form(Form::Rows(list.into())),
        _ => panic!("rows are an array"),
    }
}

/// JSON as the `table` of records.
pub(crate) fn table(json: serde_json::Value) -> Records {
    match value(json).kind {
        Some(prost_types::value::Kind::StructValue(columns)) => {
            in_form(Form::Table(columns.into()))
        }
        _ => panic!("a table is an object"),
    }
}

pub(crate) fn in_form(form: Form) -> Records {
    Records {
        form: Some(form),
        ..Records::default()
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

/// A request to train with a spec.
pub(crate) fn train_as(run_id: &str, records: Records, spec: TrainingSpec) -> TrainRequest {
    TrainRequest {
        spec: Some(spec),
        ..train_request(run_id, records)
    }
}

/// A spec with only a detector.
pub(crate) fn by(detector: Detector) -> TrainingSpec {
    TrainingSpec {
        detector: Some(detector),
        ..TrainingSpec::default()
    }
}

/// The spec that a model was trained with.
pub(crate) fn spec(model: &Model) -> TrainingSpec {
    model.spec.clone().expect("a model shows its spec")
}

/// Trains the default detector on 500 normal rows of `x` and `y`.
pub(crate) async fn train(client: &mut Client, run_id: &str) -> Model {
    trained(client, train_request(run_id, xy(normal_rows(500, 1)))).await
}

pub(crate) async fn trained(client: &mut Client, request: TrainRequest) -> Model {
    let response = client.train(request).await.expect("trains");
    model(response.into_inner().model)
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

/// A request for the version of this number.
pub(crate) fn number(number: u64) -> Option<VersionSelector> {
    Some(VersionSelector {
        choice: Some(Choice::Number(number)),
    })
}

pub(crate) fn predict_request(run_id: &str, records: Records) -> PredictRequest {
    PredictRequest {
        run_id: run_id.to_owned(),
        records: Some(records),
        ..PredictRequest::default()
    }
}

/// Options for an answer.
pub(crate) fn answer(rows: AnswerRows, detail: Detail) -> Option<AnswerOptions> {
    Some(AnswerOptions {
        rows: rows.into(),
        detail: detail.into(),
        max_bytes: None,
    })
}

/// The predictions of a request with the default options.
pub(crate) async fn predict(
    client: &mut Client,
    run_id: &str,
    records: Records,
) -> Result<Predictions, Status> {
    predicted(client, predict_request(run_id, records)).await
}

pub(crate) async fn predicted(
    client: &mut Client,
    request: PredictRequest,
) -> Result<Predictions, Status> {
    let predictions = client.predict(request).await?.into_inner().predictions;
    Ok(predictions.expect("a response holds predictions"))
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
        answer: answer(AnswerRows::All, Detail::Score),
        ..predict_request(run_id, records)
    };
    predicted(client, request).await.expect("predicts").scores
}

/// The predictions for the messages of a stream.
pub(crate) async fn streamed(
    client: &mut Client,
    messages: Vec<PredictStreamRequest>,
) -> Result<Predictions, Status> {
    let response = client.predict_stream(tokio_stream::iter(messages)).await?;
    let predictions = response.into_inner().predictions;
    Ok(predictions.expect("a response holds predictions"))
}

/// The messages of a stream.
pub(crate) fn stream(
    header: PredictStreamHeader,
    records: impl IntoIterator<Item = Records>,
) -> Vec<PredictStreamRequest> {
    let mut messages = vec![part(Part::Header(header))];
    messages.extend(
        records
            .into_iter()
            .map(|records| part(Part::Records(records))),
    );
    messages.push(end(None));
    messages
}

/// The scores of all rows of a stream.
pub(crate) async fn stream_scores(
    client: &mut Client,
    run_id: &str,
    records: impl IntoIterator<Item = Records>,
) -> Vec<f64> {
    let header = PredictStreamHeader {
        answer: answer(AnswerRows::All, Detail::Score),
        ..header(run_id)
    };
    let answer = streamed(client, stream(header, records)).await;
    answer.expect("streams").scores
}

pub(crate) fn model_request(run_id: &str) -> GetModelRequest {
    GetModelRequest {
        run_id: run_id.to_owned(),
        version: None,
    }
}

pub(crate) async fn get_model(client: &mut Client, run_id: &str) -> Result<Model, Status> {
    let response = client.get_model(model_request(run_id)).await?;
    Ok(model(response.into_inner().model))
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
