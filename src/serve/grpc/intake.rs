//! Requests that are begun and never ended: each costs memory for as long as it is waited for.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Response;
use tokio::sync::Semaphore;
use tokio_stream::StreamExt;
use tonic::Status;
use tonic::service::Routes;

/// How long the next part of a request may take. Requests are one small message, sent at once; only reflection asks more than once.
const PART_WITHIN: Duration = Duration::from_secs(10);
/// Requests that may be unfinished at the same time, of all clients.
const UNFINISHED: usize = 1024;

/// The same services; requests are bounded in time and number until they have been read whole.
pub(super) fn bounded(routes: Routes) -> Routes {
    let places = Arc::new(Semaphore::new(UNFINISHED));
    let limit = middleware::from_fn(move |request: Request, next: Next| bound(Arc::clone(&places), request, next));
    Routes::from(routes.into_axum_router().layer(limit))
}

async fn bound(places: Arc<Semaphore>, request: Request, next: Next) -> Response {
    let Ok(place) = places.try_acquire_owned() else {
        let refusal = Status::resource_exhausted(format!("{UNFINISHED} requests are unfinished at this sentinel: try another, or later"));
        return refusal.into_http();
    };
    let body = |body: Body| {
        let parts = body.into_data_stream().timeout(PART_WITHIN);
        Body::from_stream(parts.map(move |part| {
            // Given up with the body, which is dropped when the request has been read.
            let _ = &place;
            part.unwrap_or_else(|_| Err(axum::Error::new(io::Error::new(io::ErrorKind::TimedOut, "the request was not finished in time"))))
        }))
    };
    next.run(request.map(body)).await
}
