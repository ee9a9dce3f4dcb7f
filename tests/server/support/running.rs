//! A server around the service.

use std::net::SocketAddr;
use std::sync::Arc;

use anomalyd::config::{Config, Flags};
use anomalyd::proto::v1::anomaly_service_server::AnomalyServiceServer;
use anomalyd::server::{Bound, Server};
use anomalyd::store::{TokenHasher, TokenKey};
use anomalyd::telemetry::Metrics;
use clap::Parser;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::service::Routes;

use super::echo::{Echo, Ends};

pub fn hasher() -> TokenHasher {
    TokenHasher::new(&TokenKey::from_bytes([7; 32]))
}

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    flags: Flags,
}

pub fn config(args: &[&str]) -> Config {
    let args = ["anomalyd", "--listen", "127.0.0.1:0"].iter().chain(args);
    let command = Command::try_parse_from(args).expect("flags");
    Config::load(&command.flags).expect("valid configuration")
}

/// A running server.
pub struct Running {
    pub addr: SocketAddr,
    pub ends: Arc<Ends>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    pub async fn start(args: &[&str]) -> Self {
        let config = config(args);
        let bound = Server::bind(&config).await.expect("bind");
        Self::run(bound, &config)
    }

    pub fn run(bound: Bound, config: &Config) -> Self {
        let addr = bound.local_addrs()[0];
        let ends = Arc::new(Ends::default());
        let limit = usize::try_from(config.max_message_bytes.as_u64()).expect("size");
        let service =
            AnomalyServiceServer::new(Echo(Arc::clone(&ends))).max_decoding_message_size(limit);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let shutdown = async move {
                let _ = stopped.await;
            };
            bound
                .run(
                    Routes::new(service),
                    Arc::new(hasher()),
                    Arc::new(Metrics::new()),
                    shutdown,
                )
                .await
                .expect("run");
        });
        Self {
            addr,
            ends,
            stop: Some(stop),
            task,
        }
    }

    /// Asks the server to stop, without waiting.
    pub fn stop(&mut self) {
        let _ = self.stop.take().expect("not stopped yet").send(());
    }

    /// Waits until the server has stopped.
    pub async fn stopped(self) {
        let limit = std::time::Duration::from_secs(30);
        tokio::time::timeout(limit, self.task)
            .await
            .expect("stops")
            .expect("no panic");
    }
}
