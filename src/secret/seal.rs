//! Sealed text: what is kept and sent so that only those read it who hold the secret of the cluster.
//!
//! XChaCha20-Poly1305, with a nonce that is an HMAC of what is sealed (a synthetic nonce, as in RFC 8452): the same text in the same place,
//! sealed with the same secret, is the same bytes, so that to say what is already so changes nothing. That two places hold the same text is
//! not told, since the place is part of the HMAC and of the key's associated data; a sealed text that is moved elsewhere does not open.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use ring::hmac;
use zeroize::Zeroizing;

use super::keys::{Key, KeyId, Keys};

/// Labels of the two keys. A later scheme gets others.
const BOX_LABEL: &str = "seal xchacha20poly1305 v1";
const NONCE_LABEL: &str = "seal nonce v1";
const NONCE_BYTES: usize = 24;

/// Why a sealed text cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It was sealed with a secret that is not there.
    #[error("key id {0} is not in the secret file")]
    NoKey(KeyId),
    /// It is not what was sealed there, or was damaged.
    #[error("it was not sealed for this place with key id {0}, or is damaged")]
    Damaged(KeyId),
}

impl Key {
    /// Seals a text for one place. `place` is what it is for, without any ambiguity.
    pub fn seal(&self, place: &[u8], clear: &[u8]) -> Vec<u8> {
        let nonce = self.nonce(place, clear);
        let sealed = cipher(self).encrypt(XNonce::from_slice(&nonce), Payload { msg: clear, aad: place });
        let sealed = sealed.expect("an AEAD takes every text that fits a message");
        [&nonce[..], &sealed].concat()
    }

    fn nonce(&self, place: &[u8], clear: &[u8]) -> [u8; NONCE_BYTES] {
        let key = self.derive(NONCE_LABEL);
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &*key));
        // The length keeps the two parts apart.
        context.update(&(place.len() as u64).to_be_bytes());
        context.update(place);
        context.update(clear);
        let mut nonce = [0; NONCE_BYTES];
        nonce.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
        nonce
    }
}

impl Keys {
    /// Opens what the secret with this name sealed for this place.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&self, id: KeyId, place: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let key = self.find(id).ok_or(OpenError::NoKey(id))?;
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES).ok_or(OpenError::Damaged(id))?;
        let clear = cipher(key).decrypt(XNonce::from_slice(nonce), Payload { msg: sealed, aad: place });
        clear.map(Zeroizing::new).map_err(|_| OpenError::Damaged(id))
    }
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new((&*key.derive(BOX_LABEL)).into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails may panic")]
mod tests {
    use super::*;

    const OLD: &[u8] = b"0123456789abcdef0123456789abcdef";
    const NEW: &[u8] = b"fedcba9876543210fedcba9876543210";

    fn keys(secrets: &[&[u8]]) -> Keys {
        Keys::new(secrets).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_where_it_was_sealed_for_with_the_secret_that_sealed_it() {
        let both = keys(&[NEW, OLD]);
        let old = keys(&[OLD]);
        let id = old.current().id();
        let sealed = old.current().seal(b"here", b"hunter2");
        assert_eq!(both.open(id, b"here", &sealed).unwrap().as_slice(), b"hunter2");
        assert_eq!(both.open(id, b"there", &sealed), Err(OpenError::Damaged(id)));
        assert_eq!(both.open(both.current().id(), b"here", &sealed), Err(OpenError::Damaged(both.current().id())));
        assert_eq!(keys(&[NEW]).open(id, b"here", &sealed), Err(OpenError::NoKey(id)));
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert_eq!(old.open(id, b"here", &damaged), Err(OpenError::Damaged(id)), "byte {at}");
        }
        for end in 0..sealed.len() {
            assert!(old.open(id, b"here", &sealed[..end]).is_err(), "the first {end} bytes");
        }
    }

    #[test]
    fn the_same_text_in_the_same_place_is_the_same_bytes_and_nothing_else_is() {
        let keys = keys(&[OLD, NEW]);
        let [old, new] = [&keys.all()[0], &keys.all()[1]];
        let sealed = old.seal(b"here", b"hunter2");
        assert_eq!(sealed, old.seal(b"here", b"hunter2"));
        for other in
            [old.seal(b"there", b"hunter2"), old.seal(b"here", b"hunter3"), new.seal(b"here", b"hunter2"), old.seal(b"her", b"ehunter2")]
        {
            assert_ne!(sealed[..NONCE_BYTES], other[..NONCE_BYTES]);
        }
        assert!(!sealed.windows(7).any(|window| window == b"hunter2"));
    }

    /// Logs and snapshots hold such bytes: the next release must open them. Computed by another implementation (HKDF and HMAC of Python,
    /// libsodium's XChaCha20-Poly1305).
    #[test]
    fn the_form_is_the_golden_one() {
        let keys = keys(&[OLD]);
        let sealed: String = keys.current().seal(b"here", b"hunter2").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(sealed, "44f41671d8af8dcb70bf24ec7774922ab835eda059d3fe57c60a5d2cb8d0e8cfd278603944ea9b98af3cf7061044f0");
    }
}
