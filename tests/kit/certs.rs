//! Certificates made for one test.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType};

/// An authority, and the folder that it puts its files into.
pub struct Authority {
    dir: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority called `name`. Its own certificate is `NAME.crt`.
    pub fn new(dir: &Path, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are good names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key can be made");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority can be made");
        fs::write(dir.join(format!("{name}.crt")), issuer.pem()).expect("the folder can be written");
        let authority = Self { dir: dir.to_owned(), issuer };
        authority.issue(&format!("{name}-node"), &["localhost", "127.0.0.1"]);
        authority
    }

    /// Makes `NAME.crt` and `NAME.key`, signed by this authority, for these hosts; over those of that name if there are any.
    pub fn issue(&self, name: &str, hosts: &[&str]) {
        self.issue_for(name, hosts, &[]);
    }

    /// The same for these uses only; none is all of them.
    pub fn issue_for(&self, name: &str, hosts: &[&str], uses: &[ExtendedKeyUsagePurpose]) {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are good names");
        params.subject_alt_names = hosts.iter().map(|host| subject(host)).collect();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.extended_key_usages = uses.to_vec();
        let key = KeyPair::generate().expect("a key can be made");
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate can be signed");
        fs::write(self.dir.join(format!("{name}.crt")), cert.pem()).expect("the folder can be written");
        fs::write(self.dir.join(format!("{name}.key")), key.serialize_pem()).expect("the folder can be written");
    }

    /// The path of a file in its folder.
    pub fn file(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }
}

fn subject(host: &str) -> SanType {
    match host.parse() {
        Ok(ip) => SanType::IpAddress(ip),
        Err(_) => SanType::DnsName(host.try_into().expect("an ASCII name")),
    }
}
