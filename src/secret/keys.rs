//! From a secret to keys: HKDF-SHA256 (RFC 5869), one key for each label, so that a key of one purpose says nothing about another's.

use std::fmt;
use std::str::FromStr;

use ring::hkdf;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

/// The salt of all derivations. It names the product and the scheme; a later scheme gets another.
const SALT: &[u8] = b"raft-sentinel secret v1";
/// Label of the public id.
const ID_LABEL: &str = "key id";
/// Bytes of a fresh secret.
const FRESH_BYTES: usize = 32;

/// 32 bytes for one purpose, wiped when dropped.
pub type DerivedKey = Zeroizing<[u8; 32]>;

/// The public name of a secret: the same on all sentinels that hold it, and of no help in finding it.
///
/// (It lets a listener try guesses, as every use of a secret does. So secrets are random: `raft-sentinel secret new`.)
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 8]);

impl KeyId {
    /// Its length as bytes.
    pub const BYTES: usize = 8;

    /// The id with these bytes, as read from a message.
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes, for a message.
    pub const fn to_bytes(self) -> [u8; Self::BYTES] {
        self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// The text is not 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key id has 16 hexadecimal digits")]
pub struct NotAKeyId;

impl FromStr for KeyId {
    type Err = NotAKeyId;

    fn from_str(text: &str) -> Result<Self, NotAKeyId> {
        if text.len() != 2 * Self::BYTES || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NotAKeyId);
        }
        let number = u64::from_str_radix(text, 16).map_err(|_| NotAKeyId)?;
        Ok(Self(number.to_be_bytes()))
    }
}

/// One secret. `Debug` shows its id only.
#[derive(Clone)]
pub struct Key {
    id: KeyId,
    secret: Zeroizing<Vec<u8>>,
}

impl Key {
    pub(super) fn new(secret: &[u8]) -> Self {
        let id = derive(secret, ID_LABEL);
        let mut short = [0; KeyId::BYTES];
        short.iter_mut().zip(id.iter()).for_each(|(to, from)| *to = *from);
        Self { id: KeyId(short), secret: Zeroizing::new(secret.to_vec()) }
    }

    /// Its public name.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The key for one purpose. A label is never used for two, and never changes.
    pub fn derive(&self, label: &str) -> DerivedKey {
        derive(&self.secret, label)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.id).finish()
    }
}

fn derive(secret: &[u8], label: &str) -> DerivedKey {
    let mut out = Zeroizing::new([0; 32]);
    let info = [label.as_bytes()];
    let expanded = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(secret).expand(&info, hkdf::HKDF_SHA256).map(|okm| okm.fill(&mut *out));
    assert!(matches!(expanded, Ok(Ok(()))), "HKDF-SHA256 yields up to 8160 bytes, and 32 are asked for");
    out
}

/// The secrets of one file, in its order; at least one.
#[derive(Clone, Debug)]
pub struct Keys(Vec<Key>);

impl Keys {
    /// None without a single secret. A secret that is said twice counts once.
    pub(crate) fn new(secrets: &[&[u8]]) -> Option<Self> {
        let mut keys: Vec<Key> = Vec::new();
        for key in secrets.iter().map(|secret| Key::new(secret)) {
            if !keys.iter().any(|known| known.id == key.id) {
                keys.push(key);
            }
        }
        if keys.is_empty() { None } else { Some(Self(keys)) }
    }

    /// The one to use.
    #[expect(clippy::indexing_slicing, reason = "by construction there is at least one")]
    pub fn current(&self) -> &Key {
        &self.0[0]
    }

    /// Those to accept, the current one first.
    pub fn all(&self) -> &[Key] {
        &self.0
    }

    /// The one of this name.
    pub fn find(&self, id: KeyId) -> Option<&Key> {
        self.0.iter().find(|key| key.id == id)
    }
}

/// A fresh secret, as a line for the file. None if the system has no randomness to give.
pub fn generate() -> Option<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0; FRESH_BYTES]);
    SystemRandom::new().fill(&mut *bytes).ok()?;
    let mut line = Zeroizing::new(String::with_capacity(2 * FRESH_BYTES));
    for byte in bytes.iter() {
        line.extend([byte >> 4, byte & 15].into_iter().filter_map(|half| char::from_digit(u32::from(half), 16)));
    }
    Some(line)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails may panic")]
mod tests {
    use super::*;

    const OLD: &[u8] = b"0123456789abcdef0123456789abcdef";
    const NEW: &[u8] = b"fedcba9876543210fedcba9876543210";

    fn hex(key: &DerivedKey) -> String {
        key.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Both sides of a connection derive these, and stored text is sealed with them: the next release must derive the same.
    #[test]
    fn the_derivation_is_the_golden_one() {
        let key = Key::new(OLD);
        assert_eq!(key.id().to_string(), "5c1c23baea84bddd");
        assert_eq!(hex(&key.derive("peer psk")), "f5195b36d58c836ebaceffff3bebcea8e4498a53b1ac7fe3d66615aefcd7f316");
    }

    #[test]
    fn labels_and_secrets_have_keys_of_their_own() {
        let (old, new) = (Key::new(OLD), Key::new(NEW));
        assert_ne!(old.derive("a"), old.derive("b"));
        assert_ne!(old.derive("a"), new.derive("a"));
        assert_ne!(old.id(), new.id());
    }

    #[test]
    fn the_first_is_current_and_all_are_found() {
        let keys = Keys::new(&[NEW, OLD, NEW]).unwrap();
        assert_eq!(keys.current().id(), Key::new(NEW).id());
        assert_eq!(keys.all().len(), 2);
        assert!(keys.find(Key::new(OLD).id()).is_some());
        assert!(keys.find(KeyId::from_bytes([0; 8])).is_none());
        assert!(Keys::new(&[]).is_none());
    }

    #[test]
    fn ids_are_read_as_they_are_written() {
        let id = Key::new(OLD).id();
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "0123", "0123456789abcdeg", "+123456789abcdef", "0123456789abcdef0"] {
            assert_eq!(bad.parse::<KeyId>(), Err(NotAKeyId), "{bad}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", Keys::new(&[OLD]).unwrap());
        assert!(!shown.contains("0123456789abcdef0") && !shown.contains("48, 49"), "{shown}");
    }

    #[test]
    fn fresh_secrets_differ_and_fit_the_file() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_eq!(one.len(), 64);
        assert_ne!(one, other);
    }
}
