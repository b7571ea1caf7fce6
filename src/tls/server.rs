//! The end that is connected to.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache, WebPkiClientVerifier};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::files::{self, TlsError};
use super::peers::OnlyPeers;
use super::suites;
use crate::base::{ClientCertificates, TlsSettings};
use crate::renewal::{Renewable, Renewed};

/// Takes TLS connections. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct ServerTls(Arc<Renewed<ServerConfig, TlsError>>);

impl ServerTls {
    /// Reads the files. `what` is said of these connections when the files change ("connections to tls-port").
    ///
    /// # Errors
    /// Which file cannot be used, and why.
    pub fn load(what: &'static str, settings: &TlsSettings) -> Result<Self, TlsError> {
        Self::made(what, settings, config)
    }

    /// The same for gRPC: HTTP/2 is agreed on in the handshake (RFC 9113, section 3.2), without which other people's gRPC does not go on.
    ///
    /// # Errors
    /// Which file cannot be used, and why.
    pub fn load_h2(what: &'static str, settings: &TlsSettings) -> Result<Self, TlsError> {
        Self::made(what, settings, config_h2)
    }

    fn made(
        what: &'static str,
        settings: &TlsSettings,
        make: fn(&TlsSettings) -> Result<ServerConfig, TlsError>,
    ) -> Result<Self, TlsError> {
        let (named, read) = (settings.clone(), settings.clone());
        let renewed = Renewed::load(format!("the certificates for {what}"), move || files::named(&named), move || make(&read));
        renewed.map(|renewed| Self(Arc::new(renewed)))
    }

    /// Speaks TLS on a fresh connection.
    ///
    /// # Errors
    /// What is wrong with the other side, as the library words it.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<TlsStream<S>> {
        TlsAcceptor::from(self.0.current()).accept(stream).await
    }

    pub(super) fn current(&self) -> Arc<ServerConfig> {
        self.0.current()
    }

    /// For [`keep_fresh`](crate::renewal::keep_fresh).
    pub fn renewable(&self) -> Arc<dyn Renewable> {
        Arc::clone(&self.0) as Arc<dyn Renewable>
    }
}

fn config_h2(settings: &TlsSettings) -> Result<ServerConfig, TlsError> {
    let mut config = config(settings)?;
    config.alpn_protocols = vec![suites::H2.to_vec()];
    Ok(config)
}

fn config(settings: &TlsSettings) -> Result<ServerConfig, TlsError> {
    let pair =
        settings.server.as_ref().ok_or(TlsError::Missing("no certificate to show to clients: set tls-cert-file and tls-key-file"))?;
    let (chain, key) = files::identity(pair)?;
    let provider = suites::provider(settings);
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&suites::versions(settings))
        .map_err(TlsError::setup)?;
    let builder = match settings.clients {
        ClientCertificates::Unasked => builder.with_no_client_auth(),
        asked @ (ClientCertificates::Required | ClientCertificates::Optional) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(files::authorities(settings)?), provider);
            let verifier = if asked == ClientCertificates::Optional { verifier.allow_unauthenticated() } else { verifier };
            let verifier = verifier.build().map_err(TlsError::setup)?;
            builder.with_client_cert_verifier(match &settings.peers {
                None => verifier,
                Some(names) => Arc::new(OnlyPeers::new(verifier, names.clone())),
            })
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| {
        let (cert, key) = (pair.cert.display(), pair.key.display());
        TlsError::Setup(format!("{cert} with the key {key}: {error}"))
    })?;
    config.ignore_client_order = settings.prefer_own_suites;
    config.session_storage = match settings.sessions {
        0 => Arc::new(NoServerSessionStorage {}),
        count => ServerSessionMemoryCache::new(count),
    };
    Ok(config)
}
