//! A password or key: usable, comparable, never printed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How to get in somewhere: as whom, and with which password. `Debug` shows no password.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The user; none is the default one.
    pub user: Option<String>,
    /// The password, if one is needed.
    pub pass: Option<Secret>,
}

/// A text that must not reach a log line, an event, an error or a metric.
///
/// Where it is kept, in the Raft log, it is a [`StoredSecret`](super::StoredSecret).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps the clear text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The clear text, for the one place that must send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("******")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(format!("{:?}", Some(Secret::new("hunter2"))), "Some(******)");
    }
}
