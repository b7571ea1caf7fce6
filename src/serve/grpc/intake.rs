//! Requests that are begun and never ended: each costs memory for as long as it is waited for.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Response;
use tokio::time::{Instant, timeout_at};
use tokio_stream::StreamExt;
use tonic::Status;
use tonic::service::Routes;

use crate::admission::Source;
use crate::transport::ConnectInfo;

/// The time for a whole request, from its head to its end. Requests are one small message, sent at once; only reflection asks more than once,
/// and its clients ask anew.
const WHOLE_WITHIN: Duration = Duration::from_secs(10);
/// Requests that may be unfinished at the same time, of all clients.
const UNFINISHED: usize = 1024;
/// Of those, the share of one address, and of this host.
const UNFINISHED_OF_ONE: usize = UNFINISHED / 8;
const UNFINISHED_HERE: usize = UNFINISHED / 8 * 7;

/// The unfinished requests of each source.
#[derive(Debug, Default)]
struct Places {
    taken: Mutex<BTreeMap<Source, usize>>,
}

/// One unfinished request; it is over when this is dropped.
#[derive(Debug)]
struct Place {
    places: Arc<Places>,
    source: Source,
}

impl Places {
    /// A place for one more, unless all of the source's, or all there are, are taken.
    fn take(self: &Arc<Self>, source: Source) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = taken.values().sum();
        let share = if source == Source::Here { UNFINISHED_HERE } else { UNFINISHED_OF_ONE };
        let own = taken.get(&source).copied().unwrap_or_default();
        if all >= UNFINISHED || own >= share {
            return None;
        }
        taken.insert(source, own + 1);
        Some(Place { places: Arc::clone(self), source })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.source) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(taken.remove(&self.source)),
        }
    }
}

/// The same services; requests are bounded in time and number until they have been read whole.
pub(super) fn bounded(routes: Routes) -> Routes {
    let places = Arc::new(Places::default());
    let limit = middleware::from_fn(move |request: Request, next: Next| bound(Arc::clone(&places), request, next));
    Routes::from(routes.into_axum_router().layer(limit))
}

async fn bound(places: Arc<Places>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo>().and_then(|info| info.peer);
    // A connection that is gone already counts as one of this host: nobody waits for it.
    let Some(place) = places.take(peer.map_or(Source::Here, Source::of)) else {
        let refusal =
            Status::resource_exhausted("too many requests of this address are unfinished at this sentinel: try another, or later");
        return refusal.into_http();
    };
    let deadline = Instant::now() + WHOLE_WITHIN;
    next.run(request.map(|body| within(body, deadline, place))).await
}

/// The same body, which ends with an error at the deadline, and gives its place up with its end.
fn within(body: Body, deadline: Instant, place: Place) -> Body {
    let parts = futures_util::stream::unfold(Some((body.into_data_stream(), place)), move |rest| async move {
        let (mut parts, place) = rest?;
        match timeout_at(deadline, parts.next()).await {
            Ok(Some(part)) => Some((part, Some((parts, place)))),
            Ok(None) => None,
            Err(_) => {
                let late = io::Error::new(io::ErrorKind::TimedOut, "the request was not finished in time");
                Some((Err(axum::Error::new(late)), None))
            }
        }
    });
    Body::from_stream(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_takes_its_share_and_no_more() {
        let places = Arc::new(Places::default());
        let one = Source::of_ip("10.0.0.1".parse().expect("an address"));
        let mut held: Vec<Place> = (0..UNFINISHED_OF_ONE).map_while(|_| places.take(one)).collect();
        assert_eq!(held.len(), UNFINISHED_OF_ONE);
        assert!(places.take(one).is_none());
        assert!(places.take(Source::of_ip("10.0.0.2".parse().expect("an address"))).is_some(), "another one is not kept out");
        held.pop();
        assert!(places.take(one).is_some(), "a place that was given up is free");
        drop(held);
        assert!(places.taken.lock().expect("no panic").is_empty(), "nobody is remembered");
    }
}
