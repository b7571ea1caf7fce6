//! One attempt over HTTP.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::letter::Letter;
use crate::base::WebhookUrl;

/// Connections to one receiver that are kept open in between.
const IDLE: usize = 1;

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
            Self::Unusable => false,
        }
    }
}

/// Posts letters. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Poster {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Poster {
    /// Reads the host's certificates, which is why there is only one of these.
    pub(super) fn new() -> Self {
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
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(IDLE).build(connector);
        Self { client }
    }

    /// Success is an answer of 2xx. Redirects are not followed: what an operator typed is what is called.
    pub(super) async fn post(&self, url: &WebhookUrl, letter: &Letter, limit_ms: u64) -> Result<(), PostError> {
        let request = request(url, letter).map_err(|_| PostError::Unusable)?;
        let answer = tokio::time::timeout(Duration::from_millis(limit_ms), self.client.request(request)).await;
        let response = answer.map_err(|_| PostError::Late(limit_ms))?.map_err(|error| PostError::Transport(causes(&error)))?;
        if response.status().is_success() { Ok(()) } else { Err(PostError::Status(response.status())) }
    }
}

fn request(url: &WebhookUrl, letter: &Letter) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
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
