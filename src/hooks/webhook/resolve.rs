//! From the host of a webhook to the addresses that it may be called at.
//!
//! A name may stand for another address each time it is asked for (DNS rebinding), so the check is made on the very addresses that are
//! then connected to, and not before.

use std::future::Future;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;
use tokio::net::lookup_host;
use tower_service::Service;

use crate::base::{CallRules, WebhookUrl};

/// Resolves the host of one webhook. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    rules: Arc<CallRules>,
    url: WebhookUrl,
}

impl Checked {
    pub(super) const fn new(rules: Arc<CallRules>, url: WebhookUrl) -> Self {
        Self { rules, url }
    }

    /// The addresses that may be called; an error if there are others only.
    fn allowed(&self, found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Error> {
        let (mut allowed, mut refusal) = (Vec::new(), None);
        for addr in found {
            match self.rules.refusal_of(&self.url, addr.ip()) {
                None => allowed.push(addr),
                Some(why) => refusal = Some(why),
            }
        }
        match refusal {
            Some(why) if allowed.is_empty() => Err(Error::new(ErrorKind::PermissionDenied, format!("it is not called: {why}"))),
            Some(_) | None => Ok(allowed),
        }
    }
}

impl Service<Name> for Checked {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let checked = self.clone();
        Box::pin(async move {
            // The client puts the port in.
            let found = lookup_host((name.as_str(), 0)).await?;
            checked.allowed(found).map(Vec::into_iter)
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails may panic")]
mod tests {
    use super::*;

    #[test]
    fn of_the_addresses_of_a_name_only_those_are_called_that_may_be() {
        let rules = Arc::new(CallRules { own_only: false, ..CallRules::default() });
        let checked = Checked::new(rules, WebhookUrl::new("http://hooks.example/").unwrap());
        let at = |text: &str| SocketAddr::new(text.parse().unwrap(), 0);
        let allowed = checked.allowed([at("169.254.169.254"), at("192.0.2.1"), at("127.0.0.1")].into_iter());
        assert_eq!(allowed.unwrap(), [at("192.0.2.1")]);
        let error = checked.allowed([at("127.0.0.1"), at("169.254.169.254")].into_iter()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    }
}
