//! One attempt over HTTP.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::payload::Payload;
use super::resolve::Checked;
use crate::base::{CallRules, WebhookUrl};

/// Connections to one receiver that are kept open in between.
const IDLE: usize = 1;
/// Webhooks whose connections are kept.
const CLIENTS: usize = 64;

/// Why a letter did not arrive. Never names more of the URL than it must, since the rest may be secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum PostError {
    /// The receiver answered that it does not take it.
    #[error("the receiver answered {0}")]
    Status(StatusCode),
    /// No answer in time.
    #[error("no answer within {0} ms")]
    Late(u64),
    /// There is no connection, or it broke.
    #[error("cannot talk to the receiver: {0}")]
    Transport(String),
    /// This sentinel's own file does not let it be called.
    #[error("it is not called: {0}")]
    NotAllowed(&'static str),
    /// The URL cannot be called at all.
    #[error("the URL cannot be called")]
    Unusable,
}

impl PostError {
    /// Whether another attempt may end otherwise.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Status(status) => !status.is_client_error() || [408, 425, 429].contains(&status.as_u16()),
            Self::Late(_) | Self::Transport(_) => true,
            Self::NotAllowed(_) | Self::Unusable => false,
        }
    }
}

/// Posts letters. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Poster {
    rules: Arc<CallRules>,
    tls: rustls::ClientConfig,
    /// One for each webhook: a connection was checked for one, and says nothing about another.
    clients: Arc<Mutex<Vec<(WebhookUrl, HttpClient)>>>,
}

type HttpClient = Client<HttpsConnector<HttpConnector<Checked>>, Full<Bytes>>;

impl Poster {
    /// Reads the host's certificates, which is why there is only one of these.
    pub(super) fn new(rules: Arc<CallRules>) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        let (good, _) = roots.add_parsable_certificates(found.certs);
        if good == 0 {
            tracing::warn!(
                "no certificates of authorities on this host (install ca-certificates, or set SSL_CERT_FILE): https webhooks cannot be called"
            );
        }
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring knows the versions of TLS that this crate is built with")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { rules, tls, clients: Arc::default() }
    }

    fn client(&self, url: &WebhookUrl) -> HttpClient {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = clients.iter().find(|(known, _)| known == url) {
            return client.clone();
        }
        let mut tcp = HttpConnector::new_with_resolver(Checked::new(Arc::clone(&self.rules), url.clone()));
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new().with_tls_config(self.tls.clone()).https_or_http().enable_http1().wrap_connector(tcp);
        let client: HttpClient = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(IDLE).build(connector);
        if clients.len() == CLIENTS {
            clients.remove(0);
        }
        clients.push((url.clone(), client.clone()));
        client
    }

    /// Success is an answer of 2xx. Redirects are not followed: what an operator typed is what is called.
    pub(super) async fn post(&self, url: &WebhookUrl, letter: &Payload, limit_ms: u64) -> Result<(), PostError> {
        // Of an address nobody asks the resolver.
        if let Some(why) = self.rules.refusal(url) {
            return Err(PostError::NotAllowed(why));
        }
        let request = request(url, letter).map_err(|_| PostError::Unusable)?;
        let answer = tokio::time::timeout(Duration::from_millis(limit_ms), self.client(url).request(request)).await;
        let response = answer.map_err(|_| PostError::Late(limit_ms))?.map_err(|error| PostError::Transport(causes(&error)))?;
        if response.status().is_success() { Ok(()) } else { Err(PostError::Status(response.status())) }
    }
}

fn request(url: &WebhookUrl, letter: &Payload) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    Request::builder()
        .method(Method::POST)
        .uri(url.expose())
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, concat!("raft-sentinel/", env!("CARGO_PKG_VERSION")))
        .header("idempotency-key", &letter.key)
        .body(Full::new(Bytes::from(letter.body.clone())))
}

/// The whole story: the outermost error only says that something failed.
fn causes(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
