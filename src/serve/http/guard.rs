//! Who may read what over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::admission::Place;
use crate::serve::Endpoint;
use crate::serve::users::{Access, Arrival, Category, Port, Refusal, RequestNeed};

/// INFO is what the metrics are on the SENTINEL port.
const METRICS: RequestNeed = RequestNeed { name: "metrics", category: Category::Read, commands: &[&["info"]] };

/// The other end of a connection, among the extensions of its requests.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    pub(super) peer: SocketAddr,
    pub(super) place: Arc<Place>,
}

/// Lets a visitor read the metrics, and whatever else names groups and addresses. His connection may stay from then on.
pub(super) async fn read(access: &Access, visitor: &Visitor, headers: &HeaderMap) -> Result<(), Refusal> {
    let authorization = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let arrival = Arrival { port: Port::Http, peer: &Endpoint::Ip(visitor.peer), authorization, certificate: None };
    access.caller(arrival, &METRICS).await.map(|_| visitor.place.prove())
}

/// A refusal as HTTP has it.
pub(super) fn refused(refusal: &Refusal) -> Response {
    let text = format!("{refusal}\n");
    match refusal {
        Refusal::Unauthenticated(_) => {
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"raft-sentinel\", charset=\"UTF-8\"")], text)
                .into_response()
        }
        Refusal::Denied(_) => (StatusCode::FORBIDDEN, text).into_response(),
        Refusal::TooMany(wait_s) => (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, wait_s.to_string())], text).into_response(),
    }
}
