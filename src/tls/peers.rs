//! Certificates of sentinels, among all that an authority has signed.
//!
//! An application's certificate of the same authority is no sentinel's. With `raft tls-allowed-names` a certificate must bear one of the
//! names; without, it must at least be made for both ends of a connection (RFC 5280, section 4.2.1.12), as those of sentinels are and those of clients
//! are not.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::CertificateNames;
use crate::base::{PeerNames, said};

/// Asks who signed a certificate, as `inner` does, and then whether it is a sentinel's.
#[derive(Debug)]
pub(super) struct OnlyPeers {
    inner: Arc<dyn ClientCertVerifier>,
    names: PeerNames,
}

impl OnlyPeers {
    pub(super) fn new(inner: Arc<dyn ClientCertVerifier>, names: PeerNames) -> Self {
        Self { inner, names }
    }
}

/// The reason in words; the library shows it as it is.
struct NotAPeer(String);

impl fmt::Display for NotAPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NotAPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for NotAPeer {}

/// Whether a certificate, whose signature was checked already, is one of a sentinel.
pub(super) fn check(certificate: &CertificateDer<'_>, names: &PeerNames) -> Result<(), Error> {
    let refused = |why: String| Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(NotAPeer(why))))));
    let shown = CertificateNames::of(certificate);
    if names.allowed.is_empty() {
        return if is_for_both_ends(certificate) {
            Ok(())
        } else {
            refused(format!(
                "the certificate of {} is not made for both ends of a connection (extended key usage), so it is no sentinel's; see raft tls-allowed-names",
                said(&shown.shown())
            ))
        };
    }
    let texts = shown.common.iter().chain(&shown.alternatives);
    let addresses: Vec<String> = shown.addresses.iter().map(ToString::to_string).collect();
    if texts.chain(&addresses).any(|name| names.allowed.iter().any(|allowed| fits(allowed, name))) {
        return Ok(());
    }
    let all = [shown.shown(), addresses.join(", ")].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ");
    refused(format!("the certificate names {}, and none of raft tls-allowed-names", said(&all)))
}

/// A name that is allowed, or any one label in the place of `*`.
fn fits(allowed: &str, name: &str) -> bool {
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    match allowed.strip_prefix("*.") {
        None => same(allowed, name),
        Some(domain) => name.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && label != "*" && same(rest, domain)),
    }
}

fn is_for_both_ends(certificate: &CertificateDer<'_>) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return false };
    match parsed.extended_key_usage() {
        Ok(None) => true,
        Ok(Some(usage)) => usage.value.any || (usage.value.client_auth && usage.value.server_auth),
        Err(_) => false,
    }
}

impl ClientCertVerifier for OnlyPeers {
    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(end_entity, intermediates, now)?;
        check(end_entity, &self.names)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};

    use super::*;

    fn certificate(common: &str, hosts: &[&str], usages: &[ExtendedKeyUsagePurpose]) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>()).expect("good names");
        params.distinguished_name.push(DnType::CommonName, common);
        params.extended_key_usages = usages.to_vec();
        params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate").der().clone()
    }

    fn names(allowed: &[&str]) -> PeerNames {
        PeerNames { allowed: allowed.iter().map(|name| (*name).to_owned()).collect() }
    }

    #[test]
    fn without_names_only_what_is_made_for_both_ends_is_a_sentinels() {
        use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
        let any = names(&[]);
        for usages in [&[][..], &[ClientAuth, ServerAuth]] {
            assert!(check(&certificate("s1", &[], usages), &any).is_ok());
        }
        for usages in [&[ClientAuth][..], &[ServerAuth]] {
            let why = check(&certificate("app\n1", &[], usages), &any).expect_err("an application's").to_string();
            assert!(why.contains("'app\\n1' is not made for both ends"), "{why}");
        }
    }

    #[test]
    fn with_names_one_of_them_must_be_borne() {
        let sentinel = certificate("s1", &["s1.sentinels.example", "10.0.0.1"], &[]);
        for allowed in [&["S1.sentinels.example"][..], &["other", "10.0.0.1"], &["s1"], &["*.sentinels.example"]] {
            assert!(check(&sentinel, &names(allowed)).is_ok(), "{allowed:?}");
        }
        for allowed in [&["s2.sentinels.example"][..], &["*.example"], &["sentinels.example"], &["10.0.0.2"], &["*"]] {
            let why = check(&sentinel, &names(allowed)).expect_err("not allowed").to_string();
            assert!(why.contains("s1, s1.sentinels.example, 10.0.0.1") && why.contains("raft tls-allowed-names"), "{allowed:?}: {why}");
        }
    }
}
