//! Who may read what over HTTP.

use std::net::SocketAddr;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::serve::Endpoint;
use crate::serve::users::{Access, Arrival, Category, Need, Port, Refusal};

/// INFO is what the metrics are on the SENTINEL port.
const METRICS: Need = Need { name: "metrics", category: Category::Read, commands: &[&["info"]] };

/// Whether the metrics, and whatever else names groups and addresses, may be read.
pub(super) async fn read(access: &Access, peer: SocketAddr, headers: &HeaderMap) -> Result<(), Refusal> {
    let authorization = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let arrival = Arrival { port: Port::Http, peer: &Endpoint::Ip(peer), authorization, certificate: None };
    access.caller(arrival, &METRICS).await.map(drop)
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
