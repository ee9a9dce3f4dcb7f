//! Answers clients of HTTP/1, in which there is no gRPC, in their own protocol.

use std::convert::Infallible;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::layer::protocol;

/// The longest head of a request; the least that hyper can be told.
const MAX_HEAD_BYTES: usize = 8 * 1024;

/// Answers one request and closes the connection. Other protocols than HTTP/1 get its answer to a bad request.
pub(super) async fn refuse<IO>(io: IO)
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let answer = service_fn(|request: Request<Incoming>| async move {
        Ok::<_, Infallible>(protocol::refuse_http1(&request).response::<String>())
    });
    let served = http1::Builder::new()
        .keep_alive(false)
        // the caller bounds the whole exchange
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(io), answer)
        .await;
    match served {
        Ok(()) => tracing::debug!("refused a client of HTTP/1"),
        Err(error) => tracing::debug!("refused a client of an unknown protocol: {error}"),
    }
}
