//! Operations: long work that goes on without its caller, is joined by the same request, shown and cancelled.

mod ending;
mod held;
mod joining;
mod leaving;
mod progress;
mod uploads;

use std::time::Duration;

use anomalyd::config::Flags;
use anomalyd::proto::v1::operation_service_client::OperationServiceClient;
use anomalyd::proto::v1::training_spec::Detector;
use anomalyd::proto::v1::{
    CancelOperationRequest, GetOperationRequest, Knn, ListOperationsRequest, Operation,
    OperationState, TrainRequest, cancel_operation_request, get_operation_request,
};
use tempfile::TempDir;
use tonic::Status;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

use crate::grpc::datasets;
use crate::grpc::harness::{
    Client, Server, Token, by, matrix, normal_rows, train_as, train_request, xy,
};

/// A client of operations.
struct Operations(OperationServiceClient<InterceptedService<Channel, Token>>);

impl Operations {
    async fn of(server: &Server, token: &str) -> Self {
        let channel = server.channel().await;
        let token = Token::bearer(token);
        Self(OperationServiceClient::with_interceptor(channel, token))
    }

    async fn list(&self) -> Vec<Operation> {
        let request = ListOperationsRequest::default();
        let answer = self.0.clone().list_operations(request).await;
        answer.expect("lists").into_inner().operations
    }

    async fn get(&self, operation: get_operation_request::Operation) -> Result<Operation, Status> {
        let request = GetOperationRequest {
            operation: Some(operation),
        };
        let answer = self.0.clone().get_operation(request).await?;
        Ok(answer.into_inner().operation.expect("described"))
    }

    async fn cancel(
        &self,
        operation: cancel_operation_request::Operation,
    ) -> Result<Operation, Status> {
        let request = CancelOperationRequest {
            operation: Some(operation),
        };
        let answer = self.0.clone().cancel_operation(request).await?;
        Ok(answer.into_inner().operation.expect("described"))
    }

    /// The operation of the request with this id.
    async fn of_request(&self, request_id: &str) -> Result<Operation, Status> {
        let request_id = request_id.to_owned();
        self.get(get_operation_request::Operation::RequestId(request_id))
            .await
    }

    /// Waits until the operation of the request looks like this.
    async fn until(&self, request_id: &str, is_so: impl Fn(&Operation) -> bool) -> Operation {
        eventually(async || self.of_request(request_id).await.ok().filter(&is_so)).await
    }

    /// Waits until an operation is at work.
    async fn until_running(&self) -> Operation {
        eventually(async || self.list().await.into_iter().find(is_running)).await
    }

    /// Waits until so many callers wait for the operation of the request.
    async fn until_callers(&self, request_id: &str, n_callers: u32) -> Operation {
        self.until(request_id, |it| it.n_callers == Some(n_callers))
            .await
    }
}

/// A server with one compute thread, so that trainings take long.
async fn server(configure: impl FnOnce(&mut Flags)) -> (Server, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start_with(folder.path(), |flags| {
        flags.compute_threads = Some("1".to_owned());
        configure(flags);
    })
    .await;
    (server, folder)
}

/// A training that takes a minute or more.
fn long_training(run_id: &str) -> TrainRequest {
    const COLUMNS: usize = 24;
    let names: Vec<String> = (0..COLUMNS).map(|column| format!("c{column}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let rows = normal_rows(100_000 * COLUMNS / 2, 1);
    let knn = Detector::Knn(Knn::default());
    train_as(run_id, matrix(&names, rows), by(knn))
}

/// A training that takes no time, with a request id.
fn short_training(run_id: &str, request_id: &str) -> TrainRequest {
    TrainRequest {
        request_id: request_id.to_owned(),
        ..train_request(run_id, xy(normal_rows(50, 1)))
    }
}

/// The same training, on the dataset of [`upload_rows`].
fn training_on_dataset(run_id: &str, request_id: &str) -> TrainRequest {
    TrainRequest {
        records: Some(datasets::of_dataset("rows")),
        ..short_training(run_id, request_id)
    }
}

/// Uploads a dataset "rows" of 50 rows: an operation, and two files.
async fn upload_rows(server: &Server) {
    let mut client = datasets::client(server, "alice").await;
    let rows = normal_rows(50, 1);
    let lines = rows.chunks(2).map(|row| format!("{},{}\n", row[0], row[1]));
    let content = format!("x,y\n{}", lines.collect::<String>());
    let stored = datasets::upload(&mut client, "rows", content.as_bytes()).await;
    assert_eq!(stored.expect("is stored").n_rows, 50);
}

/// Waits until something is there.
async fn eventually<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            match look().await {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(60), looking).await;
    found.expect("it comes to pass")
}

fn is_running(operation: &Operation) -> bool {
    operation.state() == OperationState::Running
}

/// The versions of a run that are kept.
async fn kept_versions(client: &mut Client, run_id: &str) -> Result<Vec<u64>, Status> {
    let request = crate::grpc::harness::model_request(run_id);
    let answer = client.get_model(request).await?;
    Ok(answer.into_inner().kept_versions)
}
