//! `healthcheck`: calls grpc.health.v1, for probes. No token is needed.

use std::io::Write;
use std::time::Duration;

use tokio::time::timeout;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::connect::connect;
use super::error::{Error, Result};

/// The arguments of `healthcheck`.
#[derive(Debug, clap::Args)]
pub(super) struct HealthcheckArgs {
    /// The server: http://HOST:PORT, HOST:PORT or unix:PATH
    #[arg(
        long,
        env = "ANOMALYD_ADDR",
        value_name = "ADDR",
        default_value = "http://127.0.0.1:50051"
    )]
    addr: String,
    /// The service to ask for; without it, the server as a whole
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    service: String,
    /// How long to wait, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=3600))]
    timeout: u32,
}

impl HealthcheckArgs {
    pub(super) async fn run(&self, out: &mut dyn Write) -> Result<()> {
        let limit = Duration::from_secs(u64::from(self.timeout));
        let status = timeout(limit, self.ask(limit)).await.map_err(|_| {
            Error::failed(format!(
                "no answer from {} within {} s",
                self.addr, self.timeout
            ))
        })??;
        if status != ServingStatus::Serving {
            return Err(Error::failed(format!(
                "the server at {} is {}",
                self.addr,
                status.as_str_name()
            )));
        }
        writeln!(out, "{}", status.as_str_name())?;
        Ok(())
    }

    async fn ask(&self, limit: Duration) -> Result<ServingStatus> {
        let channel = connect(&self.addr, limit).await?;
        let request = HealthCheckRequest {
            service: self.service.clone(),
        };
        Ok(HealthClient::new(channel)
            .check(request)
            .await?
            .into_inner()
            .status())
    }
}
