use std::sync::{Arc, Mutex};

use http::HeaderMap;
use tonic::transport::Endpoint;
use tonic::{Request, Response};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::*;
use crate::proto::v1::operation_service_server::{OperationService, OperationServiceServer};
use crate::proto::v1::{
    CancelOperationResponse, GetOperationResponse, ListOperationsRequest, ListOperationsResponse,
};

/// A server that lists these operations, and cancels those that have not ended.
#[derive(Clone)]
struct Listing(Arc<Mutex<Vec<Operation>>>);

#[tonic::async_trait]
impl OperationService for Listing {
    async fn list_operations(
        &self,
        _request: Request<ListOperationsRequest>,
    ) -> Result<Response<ListOperationsResponse>, Status> {
        let operations = self.0.lock().expect("not poisoned").clone();
        Ok(Response::new(ListOperationsResponse {
            operations,
            next_page_token: String::new(),
        }))
    }

    async fn get_operation(
        &self,
        _request: Request<GetOperationRequest>,
    ) -> Result<Response<GetOperationResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    async fn cancel_operation(
        &self,
        request: Request<CancelOperationRequest>,
    ) -> Result<Response<CancelOperationResponse>, Status> {
        let id = match request.into_inner().operation {
            Some(cancel_operation_request::Operation::OperationId(id)) => id,
            other => panic!("{other:?} may be another run's"),
        };
        let mut operations = self.0.lock().expect("not poisoned");
        let found = operations.iter_mut().find(|it| it.operation_id == id);
        let found = found.ok_or_else(|| Status::not_found("no such operation"))?;
        if found.state() == OperationState::Running {
            found.set_state(OperationState::Cancelled);
        }
        Ok(Response::new(CancelOperationResponse {
            operation: Some(found.clone()),
        }))
    }
}

impl Listing {
    fn states(&self) -> Vec<OperationState> {
        let operations = self.0.lock().expect("not poisoned");
        operations.iter().map(Operation::state).collect()
    }
}

/// A training of this run with the key "k", in this state.
fn training(run_id: &str, state: OperationState) -> Operation {
    Operation {
        operation_id: format!("{run_id} {state:?}"),
        run_id: run_id.to_owned(),
        request_id: "k".to_owned(),
        state: state.into(),
        ..Operation::default()
    }
}

fn over(transport: Transport) -> LongCall {
    LongCall {
        operations: connect::operation_client(transport),
        target: Target::Run("run".to_owned()),
        request_id: "k".to_owned(),
        is_made_up: false,
        has_timeout: false,
        pause: Some(Duration::ZERO),
        lasting: Some(LASTING),
        bar: ProgressBar::hidden(),
    }
}

/// A call whose operations are these.
fn among(operations: Vec<Operation>) -> (LongCall, Listing) {
    let listing = Listing(Arc::new(Mutex::new(operations)));
    let server = OperationServiceServer::new(listing.clone());
    (
        over(connect::with_headers(server, HeaderMap::new())),
        listing,
    )
}

fn over_nobody(has_timeout: bool) -> LongCall {
    let nobody = Endpoint::from_static("http://localhost:1").connect_lazy();
    LongCall {
        has_timeout,
        ..over(connect::with_headers(nobody, HeaderMap::new()))
    }
}

/// Makes a call that is answered one after the other, and returns the last answer and how many there were.
async fn make(call: LongCall, answers: &[Result<u8, Status>]) -> (Result<u8>, usize) {
    let mut n = 0;
    let answer = call.make(async || {
        n += 1;
        answers[n - 1].clone().map_err(Error::from)
    });
    (answer.await, n)
}

fn broken() -> Result<u8, Status> {
    Err(Status::unavailable("transport error"))
}

/// An answer of the server's own.
fn of_server(code: Code, reason: &str) -> Result<u8, Status> {
    let details = ErrorDetails::with_error_info(reason, "anomalyd", []);
    Err(Status::with_error_details(code, "why", details))
}

#[tokio::test]
async fn a_broken_call_is_repeated_and_an_answer_is_final() {
    let cut = || Err(Status::deadline_exceeded("cut by a proxy"));
    let stopping = || of_server(Code::Unavailable, "UNAVAILABLE");
    let (answer, n) = make(over_nobody(false), &[broken(), cut(), stopping(), Ok(7)]).await;
    assert_eq!((answer.expect("answered"), n), (7, 4));

    for (call, answer) in [
        (
            over_nobody(false),
            of_server(Code::Unavailable, "STORAGE_FAILED"),
        ),
        (over_nobody(false), of_server(Code::Internal, "INTERNAL")),
        (over_nobody(false), Err(Status::not_found("no"))),
        (over_nobody(true), Err(Status::cancelled("Timeout expired"))),
        (over_nobody(false).once(), broken()),
    ] {
        let (answer, n) = make(call, &[answer, Ok(7)]).await;
        assert_eq!((answer.is_err(), n), (true, 1), "{answer:?}");
    }
}

#[tokio::test]
async fn only_a_call_that_lasts_and_can_get_further_is_repeated_for_ever() {
    let lasting = |call| LongCall {
        lasting: Some(Duration::ZERO),
        ..call
    };
    let mut answers = vec![broken(); 3 * MOST_BREAKS];
    answers.push(Ok(7));
    let (answer, n) = make(lasting(over_nobody(false)), &answers).await;
    assert_eq!((answer.expect("answered"), n), (7, answers.len()));

    // what a proxy makes of an upload that it finds too large is the same each time
    let too_large = vec![Err(Status::unknown("413 Payload Too Large")); answers.len()];
    let stopping = vec![of_server(Code::Unavailable, "UNAVAILABLE"); answers.len()];
    for (call, answers) in [
        (over_nobody(false), &answers),
        (
            lasting(over_nobody(false)).sending(ProgressBar::hidden()),
            &too_large,
        ),
        (lasting(over_nobody(false)), &stopping),
    ] {
        let (answer, n) = make(call, answers).await;
        assert_eq!((answer.is_err(), n), (true, MOST_BREAKS));
    }
}

#[tokio::test]
async fn a_command_that_gives_up_cancels_what_nobody_else_can_join() {
    for status in [
        Status::deadline_exceeded("it has passed"),
        Status::cancelled("Timeout expired"),
    ] {
        for (is_made_up, state) in [
            (true, OperationState::Cancelled),
            (false, OperationState::Running),
        ] {
            let (call, listing) = among(vec![training("run", OperationState::Running)]);
            let call = LongCall {
                is_made_up,
                has_timeout: true,
                ..call
            };
            let (answer, n) = make(call, &[Err(status.clone())]).await;
            assert_eq!((n, listing.states()), (1, vec![state]));
            let mut shown = Vec::new();
            let error = answer.expect_err("it gave up");
            error.report(&mut shown).expect("a vector takes everything");
            let shown = String::from_utf8(shown).expect("text");
            assert!(shown.contains(status.message()), "{shown}");
            assert_eq!(shown.contains("nothing is stored"), is_made_up, "{shown}");
        }
    }
}

#[tokio::test]
async fn only_the_work_of_the_call_is_cancelled_whatever_else_has_its_key() {
    use OperationState::{Cancelled, Committing, Failed, Running, Succeeded};
    let dataset = Operation {
        run_id: String::new(),
        dataset_id: "run".to_owned(),
        ..training("", Running)
    };
    let others = vec![training("other", Running), dataset];
    let (call, listing) = among(others.clone());
    assert_eq!(call.cancel().await, "nothing had begun");
    assert_eq!(listing.states(), [Running, Running]);

    let mut texts = Vec::new();
    for state in [Running, Committing, Succeeded, Failed] {
        // an earlier one of the same run has failed
        let mut operations = vec![training("run", Failed), training("run", state)];
        operations[0].operation_id = "earlier".to_owned();
        operations.extend(others.clone());
        let (call, listing) = among(operations);
        texts.push(call.cancel().await);
        let state = if state == Running { Cancelled } else { state };
        assert_eq!(listing.states(), [Failed, state, Running, Running]);
    }
    for (text, words) in texts.iter().zip([
        "nothing is stored",
        "is being stored",
        "result is stored",
        "failed already",
    ]) {
        assert!(text.contains(words), "{words} in {text}");
    }
    assert!(became(None).contains("did not say"));
    let unreachable = over_nobody(false).cancel().await;
    assert!(unreachable.contains("operation list"), "{unreachable}");
}

#[test]
fn a_dataset_whose_id_is_made_up_is_known_by_the_key_alone() {
    let upload = Operation {
        dataset_id: "d".to_owned(),
        ..Operation::default()
    };
    for (id, is_of) in [("", true), ("d", true), ("e", false)] {
        let target = Target::Dataset(id.to_owned());
        assert_eq!(target.is_of(&upload), is_of, "{id:?}");
        let training = training("d", OperationState::Running);
        assert!(!target.is_of(&training), "{id:?}");
    }
}
