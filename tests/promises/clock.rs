//! A wall clock that is set an hour forth and back: only the times that are shown follow it.
//!
//! The program runs with a clock of its own, `clock.c`, which the linker of Rust's programs, `cc`, compiles.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anomalyd::proto::v1::anomaly_service_client::AnomalyServiceClient;
use anomalyd::proto::v1::operation_service_client::OperationServiceClient;
use anomalyd::proto::v1::{
    GetModelRequest, ListModelsRequest, ListOperationsRequest, Model, TrainRequest, UpdateRequest,
};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

use super::program::Program;
use crate::grpc::harness::{Token, normal_rows, predict_request, train_request, xy};

type Client = AnomalyServiceClient<InterceptedService<Channel, Token>>;

const HOUR: i64 = 3600;

/// A server whose clock can be set.
struct Clock {
    folder: tempfile::TempDir,
    library: String,
    offset: String,
}

impl Clock {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| {
            let path = folder.path().join(name);
            path.to_str().expect("a printable path").to_owned()
        };
        let (library, offset) = (path("clock.so"), path("offset"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promises/clock.c");
        let compiler = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o", &library])
            .arg(source)
            .status();
        assert!(compiler.expect("cc runs").success());
        let clock = Self {
            folder,
            library,
            offset,
        };
        clock.set(0);
        clock
    }

    /// Sets the clock to so many seconds from the right time.
    fn set(&self, seconds: i64) {
        // in one step: it is read at any time
        let new = format!("{}.new", self.offset);
        std::fs::write(&new, seconds.to_string()).expect("writable");
        std::fs::rename(new, &self.offset).expect("writable");
    }

    fn serve(&self) -> Program {
        let environment = [
            ("LD_PRELOAD", self.library.as_str()),
            ("CLOCK_OFFSET", self.offset.as_str()),
        ];
        Program::serve(&self.folder.path().join("data"), &[], &environment)
    }
}

async fn channel(address: SocketAddr) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{address}")).expect("an address");
    endpoint.connect().await.expect("accepted")
}

async fn client(address: SocketAddr) -> Client {
    AnomalyServiceClient::with_interceptor(channel(address).await, Token::bearer("alice"))
}

/// The request ids of the operations, in the order in which they are listed.
async fn listed_operations(address: SocketAddr) -> Vec<String> {
    let channel = channel(address).await;
    let mut client = OperationServiceClient::with_interceptor(channel, Token::bearer("alice"));
    let listed = client.list_operations(ListOperationsRequest::default());
    let operations = listed.await.expect("lists").into_inner().operations;
    operations.into_iter().map(|it| it.request_id).collect()
}

async fn train(client: &mut Client, request_id: &str) -> Model {
    let mut request = tonic::Request::new(TrainRequest {
        request_id: request_id.to_owned(),
        ..train_request("run", xy(normal_rows(100, 1)))
    });
    // a deadline that a step of the clock would pass
    request.set_timeout(Duration::from_secs(600));
    let trained = client.train(request).await.expect("trains").into_inner();
    trained.model.expect("described")
}

fn seconds(model: &Model) -> i64 {
    model.create_time.expect("it has a time").seconds
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_and_forth_changes_no_order_and_loses_nothing() {
    let clock = Clock::new();
    let mut server = clock.serve();
    let mut alice = client(server.address().await).await;
    let mut models = Vec::new();
    let steps = [0, HOUR, 0, -HOUR, HOUR, -HOUR, 0];
    for (step, &offset) in steps.iter().enumerate() {
        clock.set(offset);
        let model = train(&mut alice, &format!("request {step}")).await;
        let request = predict_request("run", xy(vec![0.0, 5.0, 1.0, 4.0]));
        alice.predict(request).await.expect("predicts");
        // a retry is recognised whatever the time
        let again = train(&mut alice, &format!("request {step}")).await;
        assert_eq!(again, model);
        models.push(model);
    }
    for (number, model) in (1..).zip(&models) {
        assert_eq!(model.version, number);
    }
    let began: Vec<String> = (0..steps.len())
        .map(|step| format!("request {step}"))
        .collect();
    assert_eq!(listed_operations(server.address().await).await, began);
    // or else the clock would not be the one that was set
    let shown: Vec<i64> = models.iter().map(seconds).collect();
    let earliest = *shown.iter().min().expect("some");
    for (&offset, &shown) in steps.iter().zip(&shown) {
        let expected = earliest + HOUR + offset;
        assert!(
            (expected - HOUR / 2..expected + HOUR / 2).contains(&shown),
            "{shown} instead of {expected}"
        );
    }
    let update = UpdateRequest {
        run_id: "run".to_owned(),
        records: Some(xy(normal_rows(50, 2))),
        ..UpdateRequest::default()
    };
    let updated = alice.update(update).await.expect("updates").into_inner();
    models.push(updated.model.expect("described"));

    for offset in [-HOUR, HOUR] {
        clock.set(offset);
        server.terminate();
        let (status, output) = server.ended().await;
        assert!(status.success(), "{output}");
        server = clock.serve();
        alice = client(server.address().await).await;
        let request = GetModelRequest {
            run_id: "run".to_owned(),
            version: None,
        };
        let found = alice.get_model(request).await.expect("there").into_inner();
        assert_eq!(found.active_version, models.len() as u64);
        assert_eq!(found.model.as_ref(), models.last());
        let listed = alice.list_models(ListModelsRequest::default()).await;
        let listed = listed.expect("lists").into_inner().models;
        assert_eq!(listed.len(), 1);
        models.push(train(&mut alice, &format!("after {offset}")).await);
        assert_eq!(models.last().expect("one").version, models.len() as u64);
    }
}
