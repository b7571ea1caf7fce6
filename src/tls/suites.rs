//! The library's provider, cut down to the configured suites and versions.

use std::sync::Arc;

use rustls::SupportedProtocolVersion;
use rustls::crypto::{CryptoProvider, ring};
use rustls::version::{TLS12, TLS13};

use crate::base::{TlsSettings, TlsVersion};

/// HTTP/2, as ALPN names it.
pub(super) const H2: &[u8] = b"h2";

/// The cryptography to use.
pub(super) fn provider(settings: &TlsSettings) -> Arc<CryptoProvider> {
    let all = ring::default_provider();
    let named = |name: &&str| all.cipher_suites.iter().find(|suite| suite.suite().as_str() == Some(name)).copied();
    let cipher_suites = settings.suites.iter().filter_map(named).collect();
    Arc::new(CryptoProvider { cipher_suites, ..all })
}

/// The versions to speak.
pub(super) fn versions(settings: &TlsSettings) -> Vec<&'static SupportedProtocolVersion> {
    settings
        .versions
        .iter()
        .map(|version| match version {
            TlsVersion::V12 => &TLS12,
            TlsVersion::V13 => &TLS13,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::TLS_SUITES;

    #[test]
    fn every_suite_that_may_be_named_is_one_of_the_library() {
        let settings = TlsSettings::default();
        assert_eq!(provider(&settings).cipher_suites.len(), TLS_SUITES.len());
        assert_eq!(ring::default_provider().cipher_suites.len(), TLS_SUITES.len(), "none is left out");
    }
}
