//! `GET /metrics` over HTTP/1, on an address of its own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::telemetry::Metrics;

const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// How many connections are served at once: scrapers are few.
const MAX_CONNECTIONS: usize = 16;

/// How long a connection may last. Scrapers reconnect.
const CONNECTION_TIME: Duration = Duration::from_secs(60);

/// How long the header of a request may take.
const HEADER_TIME: Duration = Duration::from_secs(10);

/// The pause after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until told to stop, which also ends scrapes in progress.
pub(super) async fn serve(
    listener: TcpListener,
    address: SocketAddr,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    tracing::info!("metrics at http://{address}/metrics");
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let accept_all = async {
        loop {
            let Ok(permit) = Arc::clone(&connections).acquire_owned().await else {
                return;
            };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!("cannot accept a scraper of metrics: {error}");
                    sleep(PAUSE).await;
                    continue;
                }
            };
            let metrics = Arc::clone(&metrics);
            let stop = stop.clone();
            tokio::spawn(async move {
                let answer = service_fn(move |request| {
                    let answer = answer(&metrics, &request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEADER_TIME)
                    .serve_connection(TokioIo::new(stream), answer);
                tokio::select! {
                    () = stop.cancelled() => {}
                    // a broken connection needs no report
                    _ = timeout(CONNECTION_TIME, connection) => {}
                }
                drop(permit);
            });
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = accept_all => {}
    }
}

fn answer(metrics: &Metrics, request: &Request<Incoming>) -> Response<String> {
    let plain = |status: StatusCode, text: &str| {
        let mut response = Response::new(text.to_owned());
        *response.status_mut() = status;
        response
    };
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "there is only /metrics here\n");
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return plain(
            StatusCode::METHOD_NOT_ALLOWED,
            "/metrics can only be read\n",
        );
    }
    match metrics.text() {
        Ok(text) => {
            let mut response = Response::new(text);
            response.headers_mut().insert(CONTENT_TYPE, OPEN_METRICS);
            response
        }
        Err(error) => plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            &format!("the metrics cannot be written: {error}\n"),
        ),
    }
}
