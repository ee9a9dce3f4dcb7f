//! The layers that every request passes on its way to a handler, from the outside in: [`observe`] gives it an id and logs
//! it, [`errors`] makes its failure readable and refuses what is not gRPC by [`protocol`], [`limits`] refuses what is too much,
//! [`auth`] finds its owner, [`deadline`] bounds its time, [`deliver`] bounds the memory of its answer, [`outlive`] lets work go
//! on without its caller, [`admit`] bounds the memory of the request, [`arrival`] the wait for it, and [`drain`] ends it when the
//! server stops.

mod admit;
mod arrival;
mod auth;
mod deadline;
mod deliver;
mod drain;
mod errors;
mod framing;
mod limits;
mod observe;
mod outlive;
pub(crate) mod protocol;
mod weigh;

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;

pub(crate) use auth::Gate;

use super::methods::{Method, method};
use crate::memory::Budget;

/// The options of the layers.
pub(crate) struct Options {
    /// Turns tokens into owners.
    pub(crate) gate: Arc<Gate>,
    /// The largest message that is received, in bytes.
    pub(crate) max_message_bytes: usize,
    /// The memory of requests.
    pub(crate) request_memory: Arc<Budget>,
    /// The memory of answers.
    pub(crate) answer_memory: Arc<Budget>,
    /// How long a request may keep the server waiting for its first message.
    pub(crate) arrival_timeout: Duration,
    /// Fires when streams that may never end by themselves must end.
    pub(crate) draining: CancellationToken,
    /// Fires when all requests must end.
    pub(crate) overdue: CancellationToken,
    /// The tasks of work that can outlive its caller.
    pub(crate) tasks: TaskTracker,
}

/// The routes inside all layers.
pub(crate) type Stack = observe::Observe<
    errors::Errors<
        limits::Limits<
            auth::Auth<
                deadline::Deadlines<
                    deliver::Deliver<
                        outlive::Outlive<admit::Admit<arrival::Arrival<drain::Drain<Routes>>>>,
                    >,
                >,
            >,
        >,
    >,
>;

/// Puts all layers around the routes.
pub(crate) fn stack(routes: Routes, options: Options) -> Stack {
    let routes = drain::Drain::new(routes.prepare(), options.draining, options.overdue);
    let routes = arrival::Arrival::new(routes, options.arrival_timeout);
    let routes = admit::Admit::new(routes, options.request_memory);
    let routes = outlive::Outlive::new(routes, options.tasks);
    let routes = deliver::Deliver::new(routes, options.answer_memory);
    let routes = deadline::Deadlines::new(routes);
    let routes = auth::Auth::new(routes, options.gate);
    let routes = limits::Limits::new(routes);
    let routes = errors::Errors::new(routes, options.max_message_bytes);
    observe::Observe::new(routes)
}

/// Whether the request is for health or reflection.
pub(crate) fn is_public<B>(request: &Request<B>) -> bool {
    method(request.uri().path()).is_some_and(Method::is_public)
}
