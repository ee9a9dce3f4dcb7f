//! The real server with a trained run, and clients of it.

use std::net::SocketAddr;
use std::path::Path;

use anomalyd::config::{Config, Flags};
use anomalyd::proto::v1::anomaly_service_client::AnomalyServiceClient;
use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::training_spec::Detector;
use anomalyd::proto::v1::{
    IsolationForest, ListModelsRequest, Matrix, Model, Records, TrainRequest, TrainingSpec,
};
use anomalyd::server::Application;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::matrix::normal_rows;

/// The run that is scored with.
pub const RUN: &str = "bench";

/// How many features its rows have.
pub const N_FEATURES: usize = 10;

/// How many rows it is trained on.
const TRAINING_ROWS: usize = 10_000;

/// A connection that sends a token.
pub type Connection = InterceptedService<Channel, Token>;

/// A client that sends a token.
pub type Client = AnomalyServiceClient<Connection>;

/// Adds a token to every request.
#[derive(Clone)]
pub struct Token(MetadataValue<Ascii>);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let token = self.0.clone();
        request.metadata_mut().insert("authorization", token);
        Ok(request)
    }
}

/// Starts the real server on a free port of the current runtime, with its store in `folder`.
pub async fn start(folder: &Path) -> SocketAddr {
    let flags = Flags {
        listen: Some("127.0.0.1:0".to_owned()),
        data_dir: Some(folder.display().to_string()),
        ..Flags::default()
    };
    let application = Application::build(Config::load(&flags).expect("valid"))
        .await
        .expect("starts");
    let address = application.local_addr().expect("listens");
    tokio::spawn(application.run_until_stopped(std::future::pending()));
    address
}

/// A client with a connection of its own.
pub async fn client(address: SocketAddr) -> Client {
    let connection = connection(address, "bench").await;
    AnomalyServiceClient::new(connection).max_decoding_message_size(64 << 20)
}

/// A connection that sends a token.
pub async fn connection(address: SocketAddr, token: &str) -> Connection {
    let channel = Channel::from_shared(format!("http://{address}"))
        .expect("an address")
        .tcp_nodelay(true)
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(16 << 20)
        .connect()
        .await
        .expect("connects");
    let token = format!("Bearer {token}").parse().expect("ascii");
    InterceptedService::new(channel, Token(token))
}

/// The features' names.
pub fn names() -> Vec<String> {
    (0..N_FEATURES)
        .map(|feature| format!("feature_{feature}"))
        .collect()
}

/// Trains an isolation forest with its defaults: 100 trees of 256 rows; describes it.
pub async fn train(client: &mut Client) -> Model {
    let matrix = Matrix {
        feature_names: names(),
        values: normal_rows(TRAINING_ROWS, N_FEATURES),
        ..Matrix::default()
    };
    let request = TrainRequest {
        run_id: RUN.to_owned(),
        records: Some(Records {
            form: Some(Form::Matrix(matrix)),
            ..Records::default()
        }),
        spec: Some(TrainingSpec {
            detector: Some(Detector::IsolationForest(IsolationForest::default())),
            ..TrainingSpec::default()
        }),
        ..TrainRequest::default()
    };
    client.train(request).await.expect("trains");
    let listed = client
        .list_models(ListModelsRequest::default())
        .await
        .expect("lists")
        .into_inner();
    listed.models.into_iter().next().expect("the run")
}
