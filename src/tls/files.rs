//! PEM files: certificates, keys, authorities.

use std::fs;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::base::{KeyPair, TlsSettings};

/// Why TLS cannot be used as configured. Names files, never what is in them.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file holds something else than what is expected of it.
    #[error("{} {problem}", path.display())]
    Content {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The files are fine each by itself, but cannot be used together.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
    /// A file that is needed is not named.
    #[error("{0}")]
    Missing(&'static str),
}

impl TlsError {
    pub(super) fn setup(error: impl std::fmt::Display) -> Self {
        Self::Setup(error.to_string())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

fn content(path: &Path, problem: impl Into<String>) -> TlsError {
    TlsError::Content { path: path.to_owned(), problem: problem.into() }
}

/// The certificates of a file, in order; at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    let found = parsed.map_err(|error| content(path, format!("is not a PEM file: {error}")))?;
    if found.is_empty() { Err(content(path, "holds no certificate; expected PEM text with BEGIN CERTIFICATE")) } else { Ok(found) }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let bytes = read(path)?;
    let encrypted = b"ENCRYPTED";
    if bytes.windows(encrypted.len()).any(|window| window == encrypted) {
        let advice = "holds an encrypted key, which is not supported: keep a decrypted copy (openssl pkey -in KEY -out FILE) \
                      that only this service may read";
        return Err(content(path, advice));
    }
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| content(path, "holds no private key; expected PEM text with BEGIN PRIVATE KEY"))
}

/// A certificate with its chain, and its key.
pub(super) fn identity(pair: &KeyPair) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    Ok((certificates(&pair.cert)?, key(&pair.key)?))
}

/// The authorities of `tls-ca-cert-file` and `tls-ca-cert-dir` together.
pub(super) fn authorities(settings: &TlsSettings) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = &settings.ca_file {
        add(&mut roots, file, certificates(file)?)?;
    }
    if let Some(dir) = &settings.ca_dir {
        for file in files_of(dir)? {
            // A folder of authorities may hold other files, such as lists of revoked certificates.
            if let Ok(found) = certificates(&file) {
                add(&mut roots, &file, found)?;
            }
        }
        if roots.is_empty() {
            return Err(content(dir, "holds no file with a certificate of an authority"));
        }
    }
    if roots.is_empty() {
        return Err(TlsError::Missing(
            "no authority is named that certificates are checked against: set tls-ca-cert-file or tls-ca-cert-dir",
        ));
    }
    Ok(roots)
}

fn add(roots: &mut RootCertStore, path: &Path, found: Vec<CertificateDer<'static>>) -> Result<(), TlsError> {
    found.into_iter().try_for_each(|cert| roots.add(cert)).map_err(|error| content(path, format!("holds an unusable certificate: {error}")))
}

fn files_of(dir: &Path) -> Result<Vec<PathBuf>, TlsError> {
    let failed = |source| TlsError::Read { path: dir.to_owned(), source };
    let entries: Result<Vec<_>, _> = fs::read_dir(dir).map_err(failed)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut files: Vec<PathBuf> = entries.map_err(failed)?.into_iter().filter(|path| path.is_file()).collect();
    files.sort();
    Ok(files)
}

/// The files that the settings name, as they are now.
pub(super) fn named(settings: &TlsSettings) -> Vec<PathBuf> {
    let pairs = [&settings.server, &settings.client].into_iter().flatten().flat_map(|pair| [pair.cert.clone(), pair.key.clone()]);
    let in_dir = settings.ca_dir.iter().flat_map(|dir| files_of(dir).unwrap_or_default());
    pairs.chain(settings.ca_file.clone()).chain(in_dir).collect()
}
