//! A secret as it is kept and sent: in clear text, or sealed.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Secret, WebhookUrl};

/// Digits of the name of a key.
const KEY_DIGITS: usize = 16;
/// Hexadecimal digits of a sealed text: more than an entry of the log may have, so that this limit is never the one that is met.
const LONGEST: usize = 256 * 1024;

/// A sealed text. It names the key that opens it; nothing else of it means anything without that key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Sealed {
    key: String,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    key: String,
    text: String,
}

/// The words are no sealed text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealed text has a key id of {KEY_DIGITS} hexadecimal digits, and an even number of others, at most {LONGEST}")]
pub struct NotSealed;

impl Sealed {
    /// A sealed text from the name of its key and its bytes.
    ///
    /// # Errors
    /// [`NotSealed`].
    pub fn new(key: impl Into<String>, bytes: &[u8]) -> Result<Self, NotSealed> {
        Self::checked(key.into(), bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn checked(key: String, text: String) -> Result<Self, NotSealed> {
        let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let fits = key.len() == KEY_DIGITS && hex(&key) && text.len() <= LONGEST && text.len().is_multiple_of(2) && hex(&text);
        if fits { Ok(Self { key, text }) } else { Err(NotSealed) }
    }

    /// The name of the key that opens it.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let digit = |byte: u8| if byte.is_ascii_digit() { byte - b'0' } else { byte - b'a' + 10 };
        self.text.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
    }
}

impl TryFrom<Unchecked> for Sealed {
    type Error = NotSealed;

    fn try_from(Unchecked { key, text }: Unchecked) -> Result<Self, NotSealed> {
        Self::checked(key, text)
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sealed with {}", self.key)
    }
}

/// A password as it is agreed on.
///
/// In clear text it is written as a string, as releases before sealing wrote it: their logs are read, and they read ours as long as nothing is sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StoredSecret {
    /// In clear text: there is no secret file, or not all members know sealed text.
    Clear(Secret),
    /// Sealed.
    Sealed(Sealed),
}

impl StoredSecret {
    /// A clear one.
    pub fn new(text: impl Into<String>) -> Self {
        Self::Clear(Secret::new(text))
    }

    /// The name of the key that opens it; none if it is not sealed.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Clear(_) => None,
            Self::Sealed(sealed) => Some(sealed.key()),
        }
    }
}

/// A webhook's URL as it is agreed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StoredWebhook {
    /// In clear text.
    Clear(WebhookUrl),
    /// Sealed, but for what is shown to people.
    Sealed {
        /// Scheme and host.
        shown: String,
        /// All of it.
        url: Sealed,
    },
}

impl StoredWebhook {
    /// Scheme and host, for people.
    pub fn shown(&self) -> String {
        match self {
            Self::Clear(url) => url.shown(),
            Self::Sealed { shown, .. } => shown.clone(),
        }
    }

    /// The name of the key that opens it; none if it is not sealed.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Clear(_) => None,
            Self::Sealed { url, .. } => Some(url.key()),
        }
    }
}

impl From<Secret> for StoredSecret {
    fn from(secret: Secret) -> Self {
        Self::Clear(secret)
    }
}

impl From<WebhookUrl> for StoredWebhook {
    fn from(url: WebhookUrl) -> Self {
        Self::Clear(url)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_clear_secret_is_written_as_before_and_a_sealed_one_cannot_be_taken_for_it() {
        let clear = StoredSecret::new("{\"key\":1}");
        assert_eq!(serde_json::to_string(&clear).unwrap(), r#""{\"key\":1}""#);
        let sealed = StoredSecret::Sealed(Sealed::new("0123456789abcdef", &[1, 0xff]).unwrap());
        let text = serde_json::to_string(&sealed).unwrap();
        assert_eq!(text, r#"{"key":"0123456789abcdef","text":"01ff"}"#);
        for (secret, text) in [(clear, r#""{\"key\":1}""#), (sealed, &text)] {
            assert_eq!(serde_json::from_str::<StoredSecret>(text).unwrap(), secret);
        }
        let url = StoredWebhook::Sealed { shown: "https://h".to_owned(), url: Sealed::new("0123456789abcdef", &[7]).unwrap() };
        let text = serde_json::to_string(&url).unwrap();
        assert_eq!(serde_json::from_str::<StoredWebhook>(&text).unwrap(), url);
        assert_eq!(serde_json::from_str::<StoredWebhook>("\"http://h/x\"").unwrap(), WebhookUrl::new("http://h/x").unwrap().into());
    }

    #[test]
    fn what_is_no_sealed_text_is_not_read() {
        for text in [
            r#"{"key":"0123456789abcde","text":""}"#,
            r#"{"key":"0123456789abcdeg","text":""}"#,
            r#"{"key":"0123456789abcdef","text":"0"}"#,
            r#"{"key":"0123456789abcdef","text":"0G"}"#,
            r#"{"key":"0123456789abcdef","text":"00","more":1}"#,
            r#"{"key":"0123456789abcdef"}"#,
            "7",
        ] {
            assert!(serde_json::from_str::<StoredSecret>(text).is_err(), "{text}");
        }
        let long = format!(r#"{{"key":"0123456789abcdef","text":"{}"}}"#, "00".repeat(LONGEST));
        assert!(serde_json::from_str::<StoredSecret>(&long).is_err());
    }

    #[test]
    fn nothing_of_it_is_shown() {
        let sealed = Sealed::new("0123456789abcdef", b"hunter2").unwrap();
        let url = StoredWebhook::Sealed { shown: "https://h".to_owned(), url: sealed.clone() };
        let shown = format!("{:?} {:?} {url:?}", StoredSecret::new("hunter2"), StoredSecret::Sealed(sealed));
        assert!(!shown.contains("hunter2") && !shown.contains("68756e74"), "{shown}");
    }

    #[test]
    fn bytes_come_out_as_they_went_in() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(Sealed::new("0123456789abcdef", &bytes).unwrap().bytes(), bytes);
    }
}
