//! Where events are posted to.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Secret;

/// Characters in a URL.
const LONGEST: usize = 2048;

/// An `http://` or `https://` URL. Path and query often hold a token, so only scheme and host are ever shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WebhookUrl(Secret);

/// Why a text is no URL to post to. Does not repeat the text, which may hold a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadWebhookUrl {
    /// Another scheme, or none.
    #[error("a webhook must begin with http:// or https://")]
    Scheme,
    /// No host, or one that is none.
    #[error("a webhook must name a host, such as https://hooks.example.com/path, and a port from 1 to 65535 if any")]
    Host,
    /// `user:password@host`.
    #[error("a webhook cannot hold user:password@; put a token into the path or the query")]
    Credentials,
    /// Blanks and the like.
    #[error("a webhook must be plain ASCII without blanks and without '#'; percent-encode the rest")]
    Characters,
    /// Longer than anybody needs.
    #[error("a webhook may have at most {LONGEST} characters")]
    Length,
}

impl WebhookUrl {
    /// Checks and keeps a URL.
    ///
    /// # Errors
    /// [`BadWebhookUrl`].
    pub fn new(text: &str) -> Result<Self, BadWebhookUrl> {
        if text.len() > LONGEST {
            return Err(BadWebhookUrl::Length);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && !br##"#"<>\^`{|}"##.contains(&byte)) {
            return Err(BadWebhookUrl::Characters);
        }
        let (scheme, authority) = split(text).ok_or(BadWebhookUrl::Scheme)?;
        if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return Err(BadWebhookUrl::Scheme);
        }
        if authority.contains('@') {
            return Err(BadWebhookUrl::Credentials);
        }
        if is_authority(authority) { Ok(Self(Secret::new(text))) } else { Err(BadWebhookUrl::Host) }
    }

    /// The whole URL, for the one place that must call it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The host, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        let authority = split(self.expose()).map_or("", |(_, authority)| authority);
        match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((ip, _)) => ip,
            None => authority.split(':').next().unwrap_or(authority),
        }
    }

    /// Scheme and host, for people.
    pub fn shown(&self) -> String {
        split(self.expose()).map_or_else(|| "******".to_owned(), |(scheme, authority)| format!("{scheme}://{authority}"))
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

/// Scheme and authority.
fn split(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    Some((scheme, &rest[..end]))
}

/// `host`, `host:port`, `[ipv6]` or `[ipv6]:port`.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((ip, rest)) if ip.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')) => (ip, rest),
        Some(_) => return false,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let host_fits = !host.is_empty() && (text.starts_with('[') || host.bytes().all(named));
    let port_fits = port.is_empty() || port.strip_prefix(':').and_then(|port| port.parse::<u16>().ok()).is_some_and(|port| port > 0);
    host_fits && port_fits
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails may panic")]
mod tests {
    use super::*;

    #[test]
    fn only_scheme_and_host_are_shown() {
        let url = WebhookUrl::new("https://hooks.example.com:8443/T0/secret?token=x").unwrap();
        assert_eq!(url.shown(), "https://hooks.example.com:8443");
        assert_eq!(format!("{url:?}"), "https://hooks.example.com:8443");
        assert_eq!(WebhookUrl::new("http://[::1]:80?x").unwrap().shown(), "http://[::1]:80");
    }

    #[test]
    fn what_cannot_be_called_is_refused() {
        for (text, why) in [
            ("", BadWebhookUrl::Scheme),
            ("ftp://a/", BadWebhookUrl::Scheme),
            ("a.example.com", BadWebhookUrl::Scheme),
            ("http://", BadWebhookUrl::Host),
            ("http:///x", BadWebhookUrl::Host),
            ("http://a:0/", BadWebhookUrl::Host),
            ("http://a:99999/", BadWebhookUrl::Host),
            ("http://[::1/", BadWebhookUrl::Host),
            ("https://u:p@a/", BadWebhookUrl::Credentials),
            ("http://a/ b", BadWebhookUrl::Characters),
            ("http://a/\n", BadWebhookUrl::Characters),
        ] {
            assert_eq!(WebhookUrl::new(text), Err(why), "{text:?}");
        }
        assert_eq!(WebhookUrl::new(&format!("http://a/{}", "x".repeat(2048))), Err(BadWebhookUrl::Length));
    }
}
