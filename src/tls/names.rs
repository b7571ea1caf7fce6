//! The names in a certificate.

use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

/// Names of each kind that are looked at: a certificate of an authority that is trusted holds a few.
const NAMES: usize = 64;

/// Whom a certificate names. It says nothing of whether the certificate was verified: ask only for one that was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateNames {
    /// Common names of the subject.
    pub common: Vec<String>,
    /// Alternative names that are text: of hosts, mailboxes and URIs.
    pub alternatives: Vec<String>,
    /// Alternative names that are addresses.
    pub addresses: Vec<IpAddr>,
}

impl CertificateNames {
    /// The names; none where the certificate cannot be read.
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return Self::default() };
        let common = parsed.subject().iter_common_name().filter_map(|name| name.as_str().ok()).map(str::to_owned).take(NAMES).collect();
        let extension = parsed.subject_alternative_name().ok().flatten();
        let names = extension.iter().flat_map(|extension| &extension.value.general_names);
        let text = |name: &GeneralName<'_>| match name {
            GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => Some((*text).to_owned()),
            _ => None,
        };
        let address = |name: &GeneralName<'_>| match name {
            GeneralName::IPAddress(bytes) => {
                let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
                v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok()
            }
            _ => None,
        };
        Self {
            common,
            alternatives: names.clone().filter_map(text).take(NAMES).collect(),
            addresses: names.filter_map(address).take(NAMES).collect(),
        }
    }

    /// All of those that are text, for people.
    pub fn shown(&self) -> String {
        self.common.iter().chain(&self.alternatives).map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_and_alternative_names_are_found() {
        let mut params = rcgen::CertificateParams::new(vec!["db.example".to_owned(), "10.0.0.1".to_owned()]).expect("good names");
        params.subject_alt_names.push(rcgen::SanType::Rfc822Name("ops@example".try_into().expect("ASCII")));
        params.subject_alt_names.push(rcgen::SanType::URI("spiffe://example/ops".try_into().expect("ASCII")));
        params.distinguished_name.push(rcgen::DnType::CommonName, "ops");
        let cert = params.self_signed(&rcgen::KeyPair::generate().expect("a key")).expect("a certificate");
        let names = CertificateNames::of(cert.der());
        assert_eq!(names.common, ["ops"]);
        assert_eq!(names.alternatives, ["db.example", "ops@example", "spiffe://example/ops"]);
        assert_eq!(names.addresses, ["10.0.0.1".parse::<IpAddr>().expect("an address")]);
        assert_eq!(names.shown(), "ops, db.example, ops@example, spiffe://example/ops");
        assert_eq!(CertificateNames::of(&CertificateDer::from(vec![1, 2, 3])), CertificateNames::default());
    }
}
