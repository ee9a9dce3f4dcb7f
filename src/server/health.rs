//! What load balancers and orchestrators ask: whether the server as a whole (""), and each of its services, is serving.

use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

/// The health of the server and its services, all of which serve and stop together.
pub(super) struct Health {
    reporter: HealthReporter,
    services: Vec<String>,
}

impl Health {
    /// Says of the server and all services that they are serving.
    pub(super) async fn serving(mut services: Vec<String>) -> (Self, HealthServer<HealthService>) {
        services.push(String::new());
        let health = Self {
            reporter: HealthReporter::new(),
            services,
        };
        health.set(ServingStatus::Serving).await;
        let service = HealthService::from_health_reporter(health.reporter.clone());
        (health, HealthServer::new(service))
    }

    /// Says of the server and all services that they are not serving any more.
    pub(super) async fn stop_serving(&self) {
        self.set(ServingStatus::NotServing).await;
    }

    async fn set(&self, status: ServingStatus) {
        for service in &self.services {
            self.reporter.set_service_status(service, status).await;
        }
    }
}
