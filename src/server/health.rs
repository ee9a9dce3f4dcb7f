//! The health of the server as a whole (""), and of each service, for load balancers and orchestrators.

use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

/// The health of the server and its services, all of which serve and stop together.
pub(super) struct Health {
    reporter: HealthReporter,
    services: Vec<String>,
}

impl Health {
    /// Reports the server and all services as serving.
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

    /// Reports the server and all services as not serving.
    pub(super) async fn stop_serving(&self) {
        self.set(ServingStatus::NotServing).await;
    }

    async fn set(&self, status: ServingStatus) {
        for service in &self.services {
            self.reporter.set_service_status(service, status).await;
        }
    }
}
