//! The standard health service: SERVING while linearizable answers can be expected.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::{HealthReporter, health_reporter};

use crate::proto::sentinel::sentinel_server::SERVICE_NAME as SENTINEL;
use crate::raft::Leadership;

/// The service, and a task that keeps it true until `cancel`.
pub(super) fn follow(leadership: watch::Receiver<Leadership>, cancel: CancellationToken) -> HealthServer<impl Health> {
    let (reporter, service) = health_reporter();
    tokio::spawn(async move {
        tokio::select! {
            () = report(&reporter, leadership) => {}
            () = cancel.cancelled() => {}
        }
        // Those who ask while we drain are sent elsewhere.
        set(&reporter, ServingStatus::NotServing).await;
    });
    service
}

async fn report(reporter: &HealthReporter, mut leadership: watch::Receiver<Leadership>) {
    loop {
        let status = serving(*leadership.borrow_and_update());
        set(reporter, status).await;
        if leadership.changed().await.is_err() {
            return;
        }
    }
}

const fn serving(leadership: Leadership) -> ServingStatus {
    match leadership {
        Leadership::Leading { .. } | Leadership::Following { .. } => ServingStatus::Serving,
        Leadership::Unknown => ServingStatus::NotServing,
    }
}

async fn set(reporter: &HealthReporter, status: ServingStatus) {
    for service in ["", SENTINEL] {
        reporter.set_service_status(service, status).await;
    }
}
