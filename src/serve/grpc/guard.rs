//! Who may make a call: asked once for all services, before any of them sees it.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use tonic::service::Routes;
use tonic::{Code, Status};

use super::rights;
use crate::admission::Precedence;
use crate::base::NodeId;
use crate::machine::Asker;
use crate::serve::Endpoint;
use crate::serve::users::{Access, Arrival, Caller, Category, Port, Refusal, RequestNeed};
use crate::transport::ConnectInfo;

/// What a call was let in as; among its extensions.
#[derive(Clone, Debug)]
pub(super) struct Permit {
    pub(super) access: Arc<Access>,
    pub(super) caller: Caller,
    pub(super) need: RequestNeed,
}

/// The services behind the guard.
pub(super) fn guarded(routes: Routes, access: Arc<Access>, precedence: Precedence) -> Routes {
    routes.into_axum_router().layer(axum::middleware::from_fn_with_state((access, precedence), guard)).into()
}

async fn guard(State((access, precedence)): State<(Arc<Access>, Precedence)>, request: Request, next: Next) -> Response {
    precedence.pass().await;
    let (mut parts, body) = request.into_parts();
    match permit(access, &parts).await {
        Ok(permit) => {
            parts.extensions.insert(permit);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(status) => status.into_http::<Body>(),
    }
}

async fn permit(access: Arc<Access>, request: &Parts) -> Result<Permit, Status> {
    // What is not in the table is not served, whatever else is built into this port one day.
    let need = rights::of(request.uri.path()).ok_or_else(|| Status::unimplemented("there is no such call"))?;
    let info = request.extensions.get::<ConnectInfo>().cloned().unwrap_or_default();
    // A connection that is gone already: of no host.
    let peer = Endpoint::Ip(info.peer.unwrap_or_else(|| SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))));
    let arrival = Arrival {
        port: Port::Grpc,
        peer: &peer,
        authorization: request.headers.get(header::AUTHORIZATION).map(axum::http::HeaderValue::as_bytes),
        certificate: info.certificate.as_deref(),
    };
    let caller = access.caller(arrival, need).await.map_err(refused)?;
    if need.category != Category::Open
        && let Some(place) = &info.place
    {
        place.prove();
    }
    Ok(Permit { access, caller, need: *need })
}

/// A refusal as a gRPC code.
pub(super) fn refused(refusal: Refusal) -> Status {
    let code = match refusal {
        Refusal::Unauthenticated(_) => Code::Unauthenticated,
        Refusal::Denied(_) => Code::PermissionDenied,
        Refusal::TooMany(_) => Code::ResourceExhausted,
    };
    Status::new(code, refusal.to_string())
}

impl Permit {
    /// Who asks, for the record.
    pub(super) fn asker(&self, sentinel: NodeId) -> Asker {
        Asker::new(&self.caller.user, &self.caller.peer.to_string(), self.caller.port.as_str(), sentinel)
    }

    /// Whether the caller may see who asked for changes.
    pub(super) fn shows_askers(&self) -> bool {
        self.access.may(&self.caller, &rights::HISTORY)
    }
}

/// Waits until the call may no longer be made.
pub(super) async fn revoked(permit: Option<Permit>) -> Status {
    match permit {
        Some(Permit { access, caller, need }) => refused(access.revoked(caller, need).await),
        // Unguarded, as in a test of the service alone.
        None => std::future::pending().await,
    }
}
