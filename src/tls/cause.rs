//! TLS among the causes of an error.

use std::error::Error;
use std::io;

/// What went wrong with TLS, if that is why `error` came about: in our words of the handshake, or as the other side put it.
pub fn cause(error: &(dyn Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(this) = cause {
        // An I/O error hides the error that it was made from: its source is that one's source.
        let inner = this.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let tls = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()).or_else(|| this.downcast_ref::<rustls::Error>());
        if let Some(tls) = tls {
            return Some(in_words(tls));
        }
        cause = match inner {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => this.source(),
        };
    }
    None
}

/// What a certificate lacks, where the library's words are those of its own source.
pub(super) fn in_words(error: &rustls::Error) -> String {
    let text = error.to_string();
    if text.contains("UnsupportedCertVersion") {
        return "the certificate is of X.509 version 1, and only version 3 is taken: make it with extensions (openssl req -x509, or openssl x509 -req \
                with -extfile)"
            .to_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    #[test]
    fn it_is_found_behind_other_errors() {
        let tls = || io::Error::new(io::ErrorKind::InvalidData, rustls::Error::DecryptError);
        assert!(cause(&tls()).is_some());
        assert!(cause(&Outer(tls())).is_some());
        assert!(cause(&Outer(io::Error::other(Outer(tls())))).is_some());
        assert!(cause(&Outer(io::Error::other("refused"))).is_none());
    }
}
