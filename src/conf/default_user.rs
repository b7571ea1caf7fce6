//! `user` lines. There are no ACL users here, but a stock Sentinel writes its default user into its file, and that
//! line must not stop a migration when it asks for nothing that `requirepass` does not do.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::value::{Problem, shown};
use crate::base::Secret;

/// How the default user's line lets clients in. `Debug` is left out: it may hold a password.
#[derive(Default)]
pub(super) enum DefaultUser {
    /// There is no such line.
    #[default]
    Unsaid,
    /// `nopass`: anybody may do anything.
    Open,
    /// `#<hex>`: with the password of this SHA-256 hash.
    Hashed(String),
}

const ADVICE: &str = "ACL users are not supported by this release: protect the port with requirepass and remove the line";

impl DefaultUser {
    /// Reads one `user <name> <rule>...` line.
    pub(super) fn take(&mut self, args: &[String]) -> Result<(), Problem> {
        let [name, rules @ ..] = args else { return Err(ADVICE.to_owned()) };
        if name != "default" {
            return Err(format!("{ADVICE} (user {})", shown(name)));
        }
        *self = Self::of_rules(rules).ok_or_else(|| format!("{ADVICE} (only an unrestricted user default is understood)"))?;
        Ok(())
    }

    /// What the rules of an unrestricted user say; none if they say anything else.
    fn of_rules(rules: &[String]) -> Option<Self> {
        let has = |names: &[&str]| rules.iter().any(|rule| names.contains(&rule.as_str()));
        let everything = has(&["on"]) && has(&["~*", "allkeys"]) && has(&["&*", "allchannels"]) && has(&["+@all", "allcommands"]);
        let known =
            ["on", "~*", "allkeys", "&*", "allchannels", "+@all", "allcommands", "nopass", "sanitize-payload", "skip-sanitize-payload"];
        let mut others = rules.iter().filter(|rule| !known.contains(&rule.as_str()));
        match (everything, has(&["nopass"]), others.next(), others.next()) {
            (true, true, None, None) => Some(Self::Open),
            (true, false, Some(hash), None) => hash.strip_prefix('#').map(|hex| Self::Hashed(hex.to_ascii_lowercase())),
            _ => None,
        }
    }

    /// Whether the line and `requirepass` ask for the same.
    pub(super) fn check(&self, requirepass: Option<&Secret>) -> Result<(), Problem> {
        match (self, requirepass) {
            (Self::Unsaid, _) | (Self::Open, None) => Ok(()),
            (Self::Open, Some(_)) => {
                Err("'user default ... nopass' and requirepass contradict each other: remove the one that you do not want".to_owned())
            }
            (Self::Hashed(_), None) => {
                Err("'user default' has a password, but there is no requirepass: add it, so that clients have to give the password"
                    .to_owned())
            }
            (Self::Hashed(hash), Some(password)) if *hash == sha256_hex(password.expose()) => Ok(()),
            (Self::Hashed(_), Some(_)) => {
                Err("the password of 'user default' is not that of requirepass: remove the line of the one that you do not want".to_owned())
            }
        }
    }
}

fn sha256_hex(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
