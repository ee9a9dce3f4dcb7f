//! Callers who leave: the connection breaks, the call is cancelled, or its deadline passes.

use std::net::SocketAddr;
use std::time::Duration;

use anomalyd::proto::v1::anomaly_service_client::AnomalyServiceClient;
use anomalyd::proto::v1::{OperationState, TrainRequest};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tonic::transport::Channel;
use tonic::{Code, Request};

use super::{Operations, eventually, held, kept_versions, training_on_dataset, upload_rows};
use crate::grpc::harness::{Server, Token, refusal, trained};

/// A proxy in front of a server.
pub(super) struct Proxy {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(super) async fn before(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let to = server.address;
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                connections.spawn(async move {
                    let mut server = TcpStream::connect(to).await.expect("it accepts");
                    // an error ends the connection
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Self { address, task }
    }

    pub(super) async fn channel(&self) -> Channel {
        let endpoint = Channel::from_shared(format!("http://{}", self.address));
        let endpoint = endpoint.expect("a valid address");
        endpoint.connect().await.expect("the proxy accepts")
    }

    /// Cuts all connections.
    pub(super) async fn cut(self) {
        self.task.abort();
        assert!(self.task.await.is_err(), "it was cut");
    }
}

/// How a caller leaves.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Leaving {
    /// Their connection breaks.
    Cut,
    /// They cancel the call.
    Cancel,
    /// Their deadline passes.
    Deadline,
}

const ALL: [Leaving; 3] = [Leaving::Cut, Leaving::Cancel, Leaving::Deadline];

/// Calls Train, and leaves once the server knows of it.
async fn call_and_leave(server: &Server, training: TrainRequest, how: Leaving) {
    let operations = Operations::of(server, "alice").await;
    let proxy = Proxy::before(server).await;
    let token = Token::bearer("alice");
    let mut client = AnomalyServiceClient::with_interceptor(proxy.channel().await, token);
    let n_before = operations.list().await.len();
    let mut request = Request::new(training);
    if how == Leaving::Deadline {
        request.set_timeout(Duration::from_secs(1));
    }
    let call = tokio::spawn(async move { client.train(request).await });
    eventually(async || (operations.list().await.len() > n_before).then_some(())).await;
    match how {
        Leaving::Cut => {
            proxy.cut().await;
            call.await.expect("no panic").expect_err("it was cut");
        }
        Leaving::Cancel => {
            call.abort();
            assert!(call.await.is_err(), "it was waiting");
        }
        Leaving::Deadline => {
            let passed = call.await.expect("no panic").expect_err("it passed");
            // the client's own clock may have been faster
            let codes = [Code::DeadlineExceeded, Code::Cancelled];
            assert!(codes.contains(&passed.code()), "{passed:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_request_id_the_work_goes_on_and_the_retry_joins_it() {
    let (server, gate, folder) = held::server(|_| {}).await;
    let operations = Operations::of(&server, "alice").await;
    let mut client = server.client("alice").await;
    upload_rows(&server).await;
    for how in ALL {
        gate.close();
        let id = format!("{how:?}");
        let training = training_on_dataset(&id, &id);
        call_and_leave(&server, training.clone(), how).await;
        let alone = operations.until_callers(&id, 0).await;
        assert_eq!(alone.state(), OperationState::Waiting, "{how:?}");
        assert_eq!(
            (alone.run_id.as_str(), alone.dataset_id.as_str()),
            (&*id, "")
        );

        let retry = tokio::spawn({
            let (mut client, training) = (client.clone(), training.clone());
            async move { trained(&mut client, training).await }
        });
        let joined = operations.until_callers(&id, 1).await;
        assert_eq!(joined.operation_id, alone.operation_id, "{how:?}");
        gate.open();
        let model = retry.await.expect("no panic");
        assert_eq!(model.version, 1, "{how:?}");
        let ended = operations.until(&id, |it| it.end_time.is_some()).await;
        assert_eq!(ended.operation_id, alone.operation_id);
        assert_eq!(ended.state(), OperationState::Succeeded);
        assert_eq!((ended.progress, ended.error), (None, None));

        assert_eq!(trained(&mut client, training).await, model, "a late retry");
        let kept = kept_versions(&mut client, &id).await.expect("is there");
        assert_eq!(kept, [1], "{how:?}");
    }
    let n_trainings = operations.list().await.len() - 1;
    assert_eq!(n_trainings, ALL.len());
    let files = std::fs::read_dir(folder.path().join("blobs")).expect("is there");
    let n_files = 2 + 2 * ALL.len();
    assert_eq!(
        files.count(),
        n_files,
        "the dataset, and a model and a reservoir each"
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_request_id_the_work_ends_with_its_caller() {
    let (server, gate, _folder) = held::server(|_| {}).await;
    let operations = Operations::of(&server, "alice").await;
    let mut client = server.client("alice").await;
    upload_rows(&server).await;
    gate.close();
    for how in ALL {
        call_and_leave(&server, training_on_dataset("run", ""), how).await;
        let last = async || operations.list().await.pop();
        let ended = eventually(async || last().await.filter(|it| it.end_time.is_some())).await;
        assert_eq!(ended.state(), OperationState::Cancelled, "{how:?}");
        assert_eq!(ended.error.expect("it says why").reason, "CANCELLED");
    }
    gate.open();
    let missing = refusal(kept_versions(&mut client, "run").await);
    assert_eq!(missing.reason, "RUN_NOT_FOUND", "nothing was stored");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_waits_ends_the_work_after_a_bounded_time() {
    let (server, gate, _folder) = held::server(|flags| {
        flags.orphan_timeout = Some("50ms".to_owned());
    })
    .await;
    let operations = Operations::of(&server, "alice").await;
    let mut client = server.client("alice").await;
    upload_rows(&server).await;
    gate.close();
    let training = training_on_dataset("run", "once");
    call_and_leave(&server, training.clone(), Leaving::Cut).await;
    let ended = operations.until("once", |it| it.end_time.is_some()).await;
    assert_eq!(ended.state(), OperationState::Cancelled);
    let error = ended.error.expect("it says why");
    assert_eq!(error.reason, "OPERATION_CANCELLED");
    assert!(error.message.contains("`orphan_timeout`"), "{error:?}");
    gate.open();
    refusal(kept_versions(&mut client, "run").await);

    // what has failed is not remembered
    assert_eq!(trained(&mut client, training).await.version, 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_does_not_wait_longer_for_work_without_callers() {
    let (server, gate, folder) = held::server(|flags| {
        flags.drain_timeout = Some("200ms".to_owned());
    })
    .await;
    let operations = Operations::of(&server, "alice").await;
    upload_rows(&server).await;
    gate.close();
    let training = training_on_dataset("run", "once");
    call_and_leave(&server, training.clone(), Leaving::Cut).await;
    operations.until_callers("once", 0).await;
    server.stop().await;

    let server = Server::start(folder.path()).await;
    let mut client = server.client("alice").await;
    assert_eq!(trained(&mut client, training).await.version, 1);
    server.stop().await;
}
