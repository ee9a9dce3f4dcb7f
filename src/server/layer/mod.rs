//! The layers that every request passes on its way to a handler, from the outside in: [`observe`] gives it an id and logs
//! it, [`errors`] makes its failure readable, [`auth`] finds its owner, [`deadline`] bounds its time, [`admit`] its memory,
//! and [`drain`] ends streams that may never end by themselves.

mod admit;
mod auth;
mod deadline;
mod drain;
mod errors;
mod observe;

use std::sync::Arc;

use http::Request;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub(crate) use auth::Gate;

use super::methods::{Method, method};

/// The options of the layers.
pub(crate) struct Options {
    /// Turns tokens into owners.
    pub(crate) gate: Arc<Gate>,
    /// The largest message that is received, in bytes.
    pub(crate) max_message_bytes: usize,
    /// The bytes of request messages that may be held at once.
    pub(crate) request_memory_bytes: usize,
    /// Fires when streams that may never end by themselves must end.
    pub(crate) draining: CancellationToken,
}

/// The routes inside all layers.
pub(crate) type Stack = observe::Observe<
    errors::Errors<auth::Auth<deadline::Deadlines<admit::Admit<drain::Drain<Routes>>>>>,
>;

/// Puts all layers around the routes.
pub(crate) fn stack(routes: Routes, options: Options) -> Stack {
    let routes = drain::Drain::new(routes.prepare(), options.draining);
    let routes = admit::Admit::new(routes, options.request_memory_bytes);
    let routes = deadline::Deadlines::new(routes);
    let routes = auth::Auth::new(routes, options.gate);
    let routes = errors::Errors::new(routes, options.max_message_bytes);
    observe::Observe::new(routes)
}

/// Whether the request is for health or reflection.
fn is_public<B>(request: &Request<B>) -> bool {
    method(request.uri().path()) == Some(Method::Public)
}
