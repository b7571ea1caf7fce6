//! What a configuration says about TLS: files and choices, nothing that runs.

use std::path::PathBuf;

/// Cipher suites that can be negotiated: OpenSSL's name, the name of the standards, the protocol they belong to. Best first.
pub const TLS_SUITES: [(&str, &str, TlsVersion); 9] = [
    ("TLS_AES_256_GCM_SHA384", "TLS13_AES_256_GCM_SHA384", TlsVersion::V13),
    ("TLS_AES_128_GCM_SHA256", "TLS13_AES_128_GCM_SHA256", TlsVersion::V13),
    ("TLS_CHACHA20_POLY1305_SHA256", "TLS13_CHACHA20_POLY1305_SHA256", TlsVersion::V13),
    ("ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", TlsVersion::V12),
    ("ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", TlsVersion::V12),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", TlsVersion::V12),
    ("ECDHE-RSA-AES256-GCM-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", TlsVersion::V12),
    ("ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", TlsVersion::V12),
    ("ECDHE-RSA-CHACHA20-POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", TlsVersion::V12),
];

/// A version of the protocol. Older ones are broken and are not spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    V12,
    /// TLS 1.3.
    V13,
}

/// `tls-auth-clients`: whether clients have to show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// A client without one is turned away.
    #[default]
    Required,
    /// One that is shown must be good.
    Optional,
    /// Nobody is asked for one.
    Unasked,
}

/// A certificate chain and its key, both PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// The certificate, then those that lead to the authority.
    pub cert: PathBuf,
    /// Its private key, not encrypted.
    pub key: PathBuf,
}

/// Everything that is said about TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// What we show to those who connect.
    pub server: Option<KeyPair>,
    /// What we show to those whom we connect to.
    pub client: Option<KeyPair>,
    /// A file of authorities.
    pub ca_file: Option<PathBuf>,
    /// A folder of such files.
    pub ca_dir: Option<PathBuf>,
    /// Whether clients have to show a certificate.
    pub clients: ClientCertificates,
    /// Versions that are spoken; never empty.
    pub versions: Vec<TlsVersion>,
    /// Suites that may be used, by the names of the standards; best first, never empty.
    pub suites: Vec<&'static str>,
    /// Whether our order of the suites counts rather than the client's.
    pub prefer_own_suites: bool,
    /// How many sessions of clients may be remembered; 0 is none.
    pub sessions: usize,
    /// Whether a server's certificate must be for the host that we connect to. Stock only asks who signed it.
    pub verify_hostname: bool,
    /// Both ends are sentinels, with certificates that say so; none where anybody may connect.
    pub peers: Option<PeerNames>,
}

/// The names that a sentinel's certificate bears one of; with none, it must be made for both ends of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerNames {
    /// Hosts, addresses or common names; `*.` stands for one label.
    pub allowed: Vec<String>,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            server: None,
            client: None,
            ca_file: None,
            ca_dir: None,
            clients: ClientCertificates::default(),
            versions: vec![TlsVersion::V12, TlsVersion::V13],
            suites: TLS_SUITES.iter().map(|(_, name, _)| *name).collect(),
            prefer_own_suites: false,
            sessions: 20 * 1024,
            verify_hostname: false,
            peers: None,
        }
    }
}
