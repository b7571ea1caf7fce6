//! The end that connects.

use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::files::{self, TlsError};
use super::{peers, suites};
use crate::base::{PeerNames, TlsSettings};
use crate::renewal::{Renewable, Renewed};

/// Makes TLS connections. Cheap to clone; all clones are one, and equal to each other only.
#[derive(Clone, Debug)]
pub struct ClientTls(Arc<Renewed<ClientConfig, TlsError>>);

impl PartialEq for ClientTls {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for ClientTls {}

impl ClientTls {
    /// Reads the files. `what` is said of these connections when the files change ("connections to the data nodes").
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
        make: fn(&TlsSettings) -> Result<ClientConfig, TlsError>,
    ) -> Result<Self, TlsError> {
        let (named, read) = (settings.clone(), settings.clone());
        let renewed = Renewed::load(format!("the certificates for {what}"), move || files::named(&named), move || make(&read));
        renewed.map(|renewed| Self(Arc::new(renewed)))
    }

    /// Speaks TLS on a fresh connection to `host`. A name is told to the server (SNI), an address is not.
    ///
    /// # Errors
    /// What is wrong with the other side, as the library words it.
    pub async fn connect<S: AsyncRead + AsyncWrite + Unpin>(&self, host: &str, stream: S) -> io::Result<TlsStream<S>> {
        // The zone of an IPv6 address means something on this host only.
        let bare = host.split('%').next().unwrap_or(host);
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidInput, Error::General(format!("'{host}' cannot be the name of a TLS server")))
        })?;
        TlsConnector::from(self.0.current()).connect(name, stream).await
    }

    pub(super) fn current(&self) -> Arc<ClientConfig> {
        self.0.current()
    }

    /// For [`keep_fresh`](crate::renewal::keep_fresh).
    pub fn renewable(&self) -> Arc<dyn Renewable> {
        Arc::clone(&self.0) as Arc<dyn Renewable>
    }
}

fn config_h2(settings: &TlsSettings) -> Result<ClientConfig, TlsError> {
    let mut config = config(settings)?;
    config.alpn_protocols = vec![suites::H2.to_vec()];
    Ok(config)
}

fn config(settings: &TlsSettings) -> Result<ClientConfig, TlsError> {
    let provider = suites::provider(settings);
    let verifier = Authority {
        roots: files::authorities(settings)?,
        algorithms: provider.signature_verification_algorithms,
        verify_hostname: settings.verify_hostname,
        peers: settings.peers.clone(),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&suites::versions(settings))
        .map_err(TlsError::setup)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    match &settings.client {
        None => Ok(builder.with_no_client_auth()),
        Some(pair) => {
            let (chain, key) = files::identity(pair)?;
            builder.with_client_auth_cert(chain, key).map_err(TlsError::setup)
        }
    }
}

/// Asks who signed a server's certificate, and only if so configured whether it is for the host that was asked for.
///
/// Stock asks the first alone, and certificates of Redis servers are often made for no name at all.
#[derive(Debug)]
struct Authority {
    roots: RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
    verify_hostname: bool,
    peers: Option<PeerNames>,
}

impl ServerCertVerifier for Authority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let cert = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(&cert, &self.roots, intermediates, now, self.algorithms.all)?;
        if self.verify_hostname {
            verify_server_name(&cert, server_name)?;
        }
        if let Some(names) = &self.peers {
            peers::check(end_entity, names)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
