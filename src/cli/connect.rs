//! Connects to the server: address, token and timeouts.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tower::util::{BoxCloneSyncService, ServiceExt};
use tower::{BoxError, Service};

use super::error::{Error, Result};
use crate::proto::v1::anomaly_service_client::AnomalyServiceClient;
use crate::proto::v1::dataset_service_client::DatasetServiceClient;
use crate::proto::v1::operation_service_client::OperationServiceClient;

const TOKEN_VARIABLE: &str = "ANOMALYD_TOKEN";
/// The timeout of connecting.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A transport that adds the token to every request; boxed, so that tests can replace it by a service in
/// the same process.
pub(super) type Transport = BoxCloneSyncService<Request<Body>, Response<Body>, BoxError>;

/// The client of runs.
pub(super) type Client = AnomalyServiceClient<Transport>;

/// The client of datasets.
pub(super) type DatasetClient = DatasetServiceClient<Transport>;

/// The client of operations.
pub(super) type OperationClient = OperationServiceClient<Transport>;

/// The connection options of a command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct Connection {
    /// The server: http://HOST:PORT, HOST:PORT or unix:PATH
    #[arg(
        long,
        env = "ANOMALYD_ADDR",
        value_name = "ADDR",
        default_value = "http://127.0.0.1:50051"
    )]
    pub(super) addr: String,
    /// A file that holds the bearer token; without it, the environment variable ANOMALYD_TOKEN is the token
    #[arg(long, env = "ANOMALYD_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// How long to wait for each answer, in seconds; without it, as long as it takes
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    timeout: Option<u32>,
}

impl Connection {
    /// Connects, so that an unreachable server is noticed before any work is done.
    pub(super) async fn client(&self) -> Result<Client> {
        self.transport().await.map(client)
    }

    /// The same for datasets.
    pub(super) async fn datasets(&self) -> Result<DatasetClient> {
        self.transport().await.map(dataset_client)
    }

    /// The same for operations.
    pub(super) async fn operations(&self) -> Result<OperationClient> {
        self.transport().await.map(operation_client)
    }

    /// Whether there is a limit to how long an answer is waited for.
    pub(super) fn has_timeout(&self) -> bool {
        self.timeout.is_some()
    }

    /// Connects, for clients of more than one kind.
    pub(super) async fn transport(&self) -> Result<Transport> {
        let token = self.token()?;
        let channel = connect(&self.addr, CONNECT_TIMEOUT).await?;
        let headers = call_headers(token.as_deref(), self.timeout)?;
        Ok(with_headers(channel, headers))
    }

    fn token(&self) -> Result<Option<String>> {
        let token = match &self.token_file {
            Some(path) => std::fs::read_to_string(path).map_err(|error| {
                Error::failed(format!(
                    "cannot read the token file {}: {error}",
                    path.display()
                ))
            })?,
            None => match std::env::var(TOKEN_VARIABLE) {
                Ok(token) => token,
                Err(std::env::VarError::NotPresent) => return Ok(None),
                Err(std::env::VarError::NotUnicode(_)) => return Err(unusable_token()),
            },
        };
        let token = token.trim();
        if token.is_empty() && self.token_file.is_some() {
            return Err(Error::failed("the token file is empty"));
        }
        Ok((!token.is_empty()).then(|| token.to_owned()))
    }
}

/// A client that accepts answers of any size: the server bounds what it sends.
pub(super) fn client(transport: Transport) -> Client {
    AnomalyServiceClient::new(transport).max_decoding_message_size(usize::MAX)
}

/// The same for datasets.
pub(super) fn dataset_client(transport: Transport) -> DatasetClient {
    DatasetServiceClient::new(transport).max_decoding_message_size(usize::MAX)
}

/// The same for operations.
pub(super) fn operation_client(transport: Transport) -> OperationClient {
    OperationServiceClient::new(transport).max_decoding_message_size(usize::MAX)
}

/// Opens a channel to an address as users type it.
pub(super) async fn connect(addr: &str, timeout: Duration) -> Result<Channel> {
    endpoint(addr)?
        .connect_timeout(timeout)
        .connect()
        .await
        .map_err(|error| {
            Error::failed(format!(
                "cannot reach a server at {addr}: {}",
                root_cause(&error)
            ))
            .hint(
                "is it running? start one with `anomalyd serve`, or name its address with --addr or ANOMALYD_ADDR",
            )
        })
}

fn endpoint(addr: &str) -> Result<Endpoint> {
    let wrong = |why: &str| {
        Error::usage(format!(
            "the address {addr:?} {why}; give http://HOST:PORT, HOST:PORT or unix:PATH"
        ))
    };
    let uri = match addr {
        "" | "unix:" | "unix://" => return Err(wrong("is empty")),
        _ if addr.starts_with("unix:") || addr.starts_with("http://") => addr.to_owned(),
        _ if addr.starts_with("https://") => {
            return Err(wrong("asks for TLS, which this client does not support"));
        }
        _ if addr.contains("://") => return Err(wrong("has an unknown scheme")),
        _ => format!("http://{addr}"),
    };
    Endpoint::from_shared(uri).map_err(|_| wrong("is not valid"))
}

/// The headers of every call.
pub(super) fn call_headers(token: Option<&str>, timeout: Option<u32>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    if let Some(token) = token {
        let mut value =
            HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| unusable_token())?;
        // keeps it out of debug output
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    if let Some(seconds) = timeout {
        // gRPC allows 8 digits, so long timeouts are given in hours
        let value = match seconds {
            0..=99_999_999 => format!("{seconds}S"),
            _ => format!("{}H", seconds / 3600),
        };
        let value = HeaderValue::try_from(value)
            .map_err(|_| Error::usage("the timeout is not a number of seconds"))?;
        headers.insert(HeaderName::from_static("grpc-timeout"), value);
    }
    Ok(headers)
}

/// A transport that adds the headers to every request.
pub(super) fn with_headers<S>(service: S, headers: HeaderMap) -> Transport
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError> + Send + 'static,
{
    let service = service
        .map_request(move |mut request: Request<Body>| {
            request.headers_mut().extend(headers.clone());
            request
        })
        .map_err(Into::into);
    BoxCloneSyncService::new(service)
}

fn unusable_token() -> Error {
    Error::failed("the token has characters that are not allowed in a header")
        .hint("it must be one line of visible ASCII characters")
}

/// The innermost cause, which is the useful one: "connection refused", not "transport error".
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_accepted_as_users_type_them() {
        for good in [
            "http://127.0.0.1:50051",
            "127.0.0.1:50051",
            "localhost:1",
            "[::1]:50051",
            "unix:/run/anomalyd.sock",
            "unix:///run/anomalyd.sock",
        ] {
            assert!(endpoint(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "unix:",
            "https://host:1",
            "ftp://host",
            "a b",
            "http://",
        ] {
            let error = endpoint(bad).expect_err(bad);
            assert_eq!(error.exit_code(), Some(2), "{bad}");
        }
    }

    #[test]
    fn the_token_is_sent_and_never_shown() {
        let headers = call_headers(Some("s3cret"), Some(7)).expect("both are usable");
        assert_eq!(headers[header::AUTHORIZATION], "Bearer s3cret");
        assert_eq!(headers["grpc-timeout"], "7S");
        assert!(!format!("{headers:?}").contains("s3cret"));

        let error = call_headers(Some("s3cret\n2"), None).expect_err("a line break");
        assert!(!format!("{error:?}").contains("s3cret"));
    }

    #[test]
    fn a_long_timeout_fits_in_the_digits_of_grpc() {
        let headers = call_headers(None, Some(u32::MAX)).expect("it is a number");
        assert_eq!(headers["grpc-timeout"], "1193046H");
    }

    #[tokio::test]
    async fn an_unreachable_server_is_named() {
        let path = "unix:/nonexistent/anomalyd.sock";
        let error = connect(path, CONNECT_TIMEOUT)
            .await
            .expect_err("nobody listens");
        let mut text = Vec::new();
        error.report(&mut text).expect("a vector takes everything");
        let text = String::from_utf8(text).expect("text");
        assert!(
            text.contains(path) && text.contains("anomalyd serve"),
            "{text}"
        );
    }
}
