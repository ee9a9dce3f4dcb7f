//! The options: their names, kinds, defaults and help, each stated once.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;

use super::value::Value;
use super::{ConfigError, Given, LogFormat, Origin};
use crate::store::TokenKey;

macro_rules! options {
    ($($(#[doc = $doc:literal])+ $name:ident: $kind:ty = $default:literal, $value:literal, $env:literal;)*) => {
        /// The options as given by flags and environment variables, not yet parsed.
        #[derive(Clone, Default, clap::Args)]
        #[command(next_help_heading = "Configuration")]
        pub struct Flags {
            /// A TOML file with options: the names below with underscores, such as `data_dir = "/var/lib/anomalyd"`.
            #[arg(long, env = "ANOMALYD_CONFIG", value_name = "FILE")]
            pub config: Option<PathBuf>,
            $(
                $(#[doc = $doc])+
                #[arg(
                    long,
                    env = $env,
                    value_name = $value,
                    num_args = if $value == "BOOL" { 0..=1 } else { 1..=1 },
                    default_missing_value = "true",
                    require_equals = $value == "BOOL",
                    hide_env_values = true,
                    allow_hyphen_values = true,
                )]
                pub $name: Option<String>,
            )*
        }

        /// Only the names of the options that were given: a value may be a secret.
        impl fmt::Debug for Flags {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("Flags ")?;
                f.debug_list().entries(self.given().map(|(name, _)| name)).finish()
            }
        }

        /// The validated configuration.
        #[derive(Debug, Clone)]
        pub struct Config {
            $($(#[doc = $doc])+ pub $name: $kind,)*
        }

        /// The names of all options that a file may hold.
        pub(super) const NAMES: &[&str] = &[$(stringify!($name)),*];

        /// The defaults, as text.
        #[cfg(test)]
        pub(super) const DEFAULTS: &[(&str, &str)] = &[$((stringify!($name), $default)),*];

        impl Flags {
            /// The options that were given.
            pub(super) fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
                [$((stringify!($name), self.$name.as_deref())),*]
                    .into_iter()
                    .filter_map(|(name, text)| Some((name, text?)))
            }
        }

        impl Config {
            /// Parses each option, or its default if it was not given.
            pub(super) fn parse(given: &Given) -> Result<Self, ConfigError> {
                Ok(Self {
                    $($name: read(given, stringify!($name), $default)?,)*
                })
            }

            /// Each option with its value; secrets are redacted.
            pub(super) fn shown(&self) -> Vec<(&'static str, String)> {
                vec![$((stringify!($name), self.$name.show())),*]
            }
        }
    };
}

fn read<T: Value>(given: &Given, option: &'static str, default: &str) -> Result<T, ConfigError> {
    let (text, origin) = match given.get(option) {
        Some((text, origin)) => (text.as_str(), origin.clone()),
        None => (default, Origin::Unknown),
    };
    T::read(text).map_err(|problem| ConfigError::Value {
        option,
        origin,
        problem,
    })
}

options! {
    /// TCP addresses to listen on, separated by commas. Empty for none. Port 0 picks a free one. Default: 127.0.0.1:50051
    listen: Vec<SocketAddr> = "127.0.0.1:50051", "ADDRESSES", "ANOMALYD_LISTEN";
    /// Unix socket to listen on as well, readable and writable by its owner and group. Default:
    /// none
    unix_socket: Option<PathBuf> = "", "PATH", "ANOMALYD_UNIX_SOCKET";
    /// TCP address to serve Prometheus metrics on, over HTTP at /metrics, without authentication. Port 0 picks a free one.
    /// Default: none
    metrics_listen: Option<SocketAddr> = "", "ADDRESS", "ANOMALYD_METRICS_LISTEN";
    /// Folder for all stored data. Default: ./anomalyd-data
    data_dir: PathBuf = "./anomalyd-data", "FOLDER", "ANOMALYD_DATA_DIR";
    /// Days for which stored files that nothing refers to any more are kept before they are deleted. At most 3650. Default: 7
    quarantine_days: u32 = "7", "DAYS", "ANOMALYD_QUARANTINE_DAYS";
    /// Also serve requests without a token, which all share one owner. Default: false
    allow_anonymous: bool = "false", "BOOL", "ANOMALYD_ALLOW_ANONYMOUS";
    /// Secret key that tokens are hashed with: 32 bytes in hexadecimal digits. Other users may see flags: prefer the
    /// environment variable or `token_key_file`. Default: none, which creates one in the data folder
    token_key: Option<TokenKey> = "", "HEX", "ANOMALYD_TOKEN_KEY";
    /// File that holds `token_key`. Default: none
    token_key_file: Option<PathBuf> = "", "FILE", "ANOMALYD_TOKEN_KEY_FILE";
    /// Largest message that is received. Range 64KiB to 2GiB. Default: 64MiB
    max_message_bytes: ByteSize = "64MiB", "SIZE", "ANOMALYD_MAX_MESSAGE_BYTES";
    /// Memory for requests, over all of them: their messages, what these are decoded to, and the tables made of them. More are
    /// refused until some are done. At least `max_message_bytes`; a message of rows takes two to four times its bytes.
    /// Default: 1GiB
    request_memory_bytes: ByteSize = "1GiB", "SIZE", "ANOMALYD_REQUEST_MEMORY_BYTES";
    /// Memory for answers, over all of them, until they are sent. More are refused until some are read; the pages of
    /// PredictDataset wait. Range 64MiB to 1TiB. Default: 256MiB
    answer_memory_bytes: ByteSize = "256MiB", "SIZE", "ANOMALYD_ANSWER_MEMORY_BYTES";
    /// How long a part of an answer, of up to 256KiB, may wait to be read before the stream is reset. At least 1s. Default: 60s
    answer_stall_timeout: Duration = "60s", "DURATION", "ANOMALYD_ANSWER_STALL_TIMEOUT";
    /// Memory for datasets that are being read, over all of them. Range 64MiB to 1TiB. Default: 2GiB
    dataset_memory_bytes: ByteSize = "2GiB", "SIZE", "ANOMALYD_DATASET_MEMORY_BYTES";
    /// Connections that are served at once, but no more than half of the files that the process may have open. One more takes
    /// the place of an idle one; if none is idle, it is refused. At least 1. Default: 10000
    max_connections: usize = "10000", "COUNT", "ANOMALYD_MAX_CONNECTIONS";
    /// Requests in progress at once on one connection. At least 1. Default: 1000
    max_concurrent_streams: u32 = "1000", "COUNT", "ANOMALYD_MAX_CONCURRENT_STREAMS";
    /// Requests in progress at once over all connections; more are refused. Requests for health and reflection are counted
    /// apart, and may be half as many. At least 1. Default: 10000
    max_total_streams: usize = "10000", "COUNT", "ANOMALYD_MAX_TOTAL_STREAMS";
    /// Bytes that a client may send on one stream ahead of being read; a connection gets 16 times as much. Range 64KiB to
    /// 64MiB. Default: 1MiB
    stream_window_bytes: ByteSize = "1MiB", "SIZE", "ANOMALYD_STREAM_WINDOW_BYTES";
    /// How long a new connection may be silent before its first request, and a request before its first message is whole. At
    /// least 1s. Default: 30s
    arrival_timeout: Duration = "30s", "DURATION", "ANOMALYD_ARRIVAL_TIMEOUT";
    /// How long a connection may be without a request in progress before it is asked to close. 0s for ever. Default: 10m
    max_connection_idle: Duration = "10m", "DURATION", "ANOMALYD_MAX_CONNECTION_IDLE";
    /// Age at which a connection is asked to close, varied by up to a tenth, so that reconnecting clients spread
    /// over replicas. 0s for never. Default: 0s
    max_connection_age: Duration = "0s", "DURATION", "ANOMALYD_MAX_CONNECTION_AGE";
    /// Silence after which a connection is pinged. At least 1s. Default: 60s
    keepalive_interval: Duration = "60s", "DURATION", "ANOMALYD_KEEPALIVE_INTERVAL";
    /// How long a pinged connection has to answer before it is closed. At least 1s. Default: 20s
    keepalive_timeout: Duration = "20s", "DURATION", "ANOMALYD_KEEPALIVE_TIMEOUT";
    /// Threads that one request runs on at most. 0 for one per core. At most 1024. Default: 0
    compute_threads: usize = "0", "COUNT", "ANOMALYD_COMPUTE_THREADS";
    /// Requests that may wait at once for their turn on these threads, small predictions and all other work each; more are
    /// refused, first those of who has most waiting, and streams wait. At least 1. Default: 64
    compute_queue: usize = "64", "COUNT", "ANOMALYD_COMPUTE_QUEUE";
    /// How long a request may wait for its turn before it is refused. Default: 60s
    compute_wait: Duration = "60s", "DURATION", "ANOMALYD_COMPUTE_WAIT";
    /// Memory for cached models. Default: 256MiB
    model_cache_bytes: ByteSize = "256MiB", "SIZE", "ANOMALYD_MODEL_CACHE_BYTES";
    /// Largest dataset, both as uploaded and decompressed. Range 64KiB to 1TiB. Default: 4GiB
    max_dataset_bytes: ByteSize = "4GiB", "SIZE", "ANOMALYD_MAX_DATASET_BYTES";
    /// Rows that each model keeps as a sample of its training data, for updates. Range 2 to 10000000. Default:
    /// 10000
    reservoir_size: usize = "10000", "ROWS", "ANOMALYD_RESERVOIR_SIZE";
    /// How long a training, an update or the storing of a dataset that has a request_id goes on after its last caller has left.
    /// Default: 10m
    orphan_timeout: Duration = "10m", "DURATION", "ANOMALYD_ORPHAN_TIMEOUT";
    /// How long to keep accepting requests after a stop signal, while health says NOT_SERVING, so that load balancers
    /// notice. Default: 0s
    drain_delay: Duration = "0s", "DURATION", "ANOMALYD_DRAIN_DELAY";
    /// How long requests in progress may take to finish after that. Default: 20s
    drain_timeout: Duration = "20s", "DURATION", "ANOMALYD_DRAIN_TIMEOUT";
    /// Format of log lines: text or json. Default: text
    log_format: LogFormat = "text", "FORMAT", "ANOMALYD_LOG_FORMAT";
    /// What is logged: a level (error, warn, info, debug, trace), or directives such as `info,anomalyd::server=debug`.
    /// Default: info
    log_level: String = "info", "FILTER", "ANOMALYD_LOG_LEVEL";
    /// Serve gRPC reflection, which tells tools such as grpcurl what can be called. Default: true
    reflection: bool = "true", "BOOL", "ANOMALYD_REFLECTION";
}
