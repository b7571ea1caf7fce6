//! What the `tls-...` lines amount to together.

use std::path::{Path, PathBuf};

use super::value::Problem;
use crate::base::{ClientCertificates, KeyPair, TLS_SUITES, TlsSettings, TlsVersion};

/// Which ports speak TLS.
pub(super) struct Uses {
    /// `tls-port`.
    pub(super) port: bool,
    /// `raft tls`.
    pub(super) raft: bool,
    /// `grpc tls`.
    pub(super) grpc: bool,
    /// `raft tls-ca-cert-file`: sentinels are signed by somebody else.
    pub(super) raft_ca: bool,
    /// `grpc tls-ca-cert-file`: gRPC clients are signed by somebody else.
    pub(super) grpc_ca: bool,
}

impl Uses {
    const fn listening(&self) -> [(&'static str, bool); 3] {
        [("tls-port", self.port), ("raft tls yes", self.raft), ("grpc tls yes", self.grpc)]
    }
}

/// What was said about TLS.
pub(super) struct TlsDraft {
    pub(super) replication: bool,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) client_cert: Option<PathBuf>,
    pub(super) client_key: Option<PathBuf>,
    /// For TLS 1.2; none is all.
    pub(super) ciphers: Option<Vec<&'static str>>,
    /// For TLS 1.3; none is all.
    pub(super) ciphersuites: Option<Vec<&'static str>>,
    pub(super) session_caching: bool,
    pub(super) settings: TlsSettings,
}

impl Default for TlsDraft {
    fn default() -> Self {
        Self {
            replication: false,
            cert: None,
            key: None,
            client_cert: None,
            client_key: None,
            ciphers: None,
            ciphersuites: None,
            session_caching: true,
            settings: TlsSettings::default(),
        }
    }
}

impl TlsDraft {
    /// The settings; relative paths start in `dir`. Only names are looked at here, the files are read at the start.
    pub(super) fn finish(self, dir: &Path, uses: &Uses) -> Result<TlsSettings, Problem> {
        let server = pair("tls-cert-file", "tls-key-file", self.cert, self.key, dir)?;
        let client = pair("tls-client-cert-file", "tls-client-key-file", self.client_cert, self.client_key, dir)?;
        let settings = TlsSettings {
            // As in stock: without a certificate for this side, that of the other one is shown.
            client: client.or_else(|| server.clone()),
            server,
            ca_file: self.settings.ca_file.as_ref().map(|path| dir.join(path)),
            ca_dir: self.settings.ca_dir.as_ref().map(|path| dir.join(path)),
            sessions: if self.session_caching { self.settings.sessions } else { 0 },
            suites: chosen(self.ciphersuites, TlsVersion::V13).into_iter().chain(chosen(self.ciphers, TlsVersion::V12)).collect(),
            ..self.settings
        };
        let no_ca = settings.ca_file.is_none() && settings.ca_dir.is_none();
        for (what, _) in uses.listening().into_iter().filter(|(_, used)| *used) {
            if settings.server.is_none() {
                return Err(format!("{what} needs tls-cert-file and tls-key-file"));
            }
        }
        for (what, _) in [("tls-port", uses.port), ("grpc tls yes", uses.grpc && !uses.grpc_ca)].into_iter().filter(|(_, used)| *used) {
            if settings.clients != ClientCertificates::Unasked && no_ca {
                return Err(format!(
                    "{what} asks clients for certificates: say who signs them with tls-ca-cert-file or tls-ca-cert-dir, \
                     or set tls-auth-clients no"
                ));
            }
        }
        if uses.raft && no_ca && !uses.raft_ca {
            return Err(
                "raft tls yes needs tls-ca-cert-file or tls-ca-cert-dir (or raft tls-ca-cert-file), to know which sentinels to trust"
                    .to_owned(),
            );
        }
        if self.replication && no_ca {
            return Err("tls-replication yes needs tls-ca-cert-file or tls-ca-cert-dir, to know whose servers to trust".to_owned());
        }
        Ok(settings)
    }
}

fn pair(cert_name: &str, key_name: &str, cert: Option<PathBuf>, key: Option<PathBuf>, dir: &Path) -> Result<Option<KeyPair>, Problem> {
    match (cert, key) {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => Ok(Some(KeyPair { cert: dir.join(cert), key: dir.join(key) })),
        (Some(_), None) => Err(format!("{cert_name} without {key_name}")),
        (None, Some(_)) => Err(format!("{key_name} without {cert_name}")),
    }
}

fn chosen(named: Option<Vec<&'static str>>, version: TlsVersion) -> Vec<&'static str> {
    named.unwrap_or_else(|| TLS_SUITES.iter().filter(|(_, _, of)| *of == version).map(|(_, name, _)| *name).collect())
}
