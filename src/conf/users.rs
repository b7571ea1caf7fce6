//! `user` lines: who may do what on the SENTINEL port. The rules are understood by whoever serves that port.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::place::Place;
use super::settings::RespSettings;
use super::value::{Problem, shown};
use crate::base::Secret;

/// One `user <name> <rule>...` line. The rules are secret: a rule may be a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserLine {
    /// Where it stands.
    pub place: Place,
    /// Who.
    pub name: String,
    /// What the user may do, in order.
    pub rules: Vec<Secret>,
}

impl UserLine {
    pub(super) fn new(place: Place, args: &[String]) -> Result<Self, Problem> {
        let [name, rules @ ..] = args else { return Err("a user has a name".to_owned()) };
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '\0') {
            return Err(format!("{} cannot name a user; expected a name without blanks", shown(name)));
        }
        Ok(Self { place, name: name.clone(), rules: rules.iter().map(|rule| Secret::new(rule.as_str())).collect() })
    }

    fn says(&self, rule: &str) -> bool {
        self.rules.iter().any(|said| said.expose().eq_ignore_ascii_case(rule))
    }
}

/// Whether the lines, `aclfile` and `requirepass` ask for the same.
///
/// Stock takes the line of user default for what counts and drops requirepass silently.
pub(super) fn check(resp: &RespSettings) -> Result<(), Problem> {
    if resp.acl.file.is_some() && !resp.acl.users.is_empty() {
        return Err("users are defined here and in aclfile: use one of the two".to_owned());
    }
    let (Some(line), Some(password)) = (resp.acl.users.iter().find(|line| line.name == "default"), &resp.requirepass) else {
        return Ok(());
    };
    if line.says("nopass") {
        return Err("'user default ... nopass' and requirepass contradict each other: remove the one that you do not want".to_owned());
    }
    let has_password = line.rules.iter().any(|rule| rule.expose().starts_with(['#', '>']));
    let same = line.says(&format!("#{}", sha256_hex(password.expose())))
        || line.rules.iter().any(|rule| rule.expose().strip_prefix('>') == Some(password.expose()));
    if has_password && !same {
        return Err("the password of 'user default' is not that of requirepass: remove the line of the one that you do not want".to_owned());
    }
    Ok(())
}

fn sha256_hex(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
