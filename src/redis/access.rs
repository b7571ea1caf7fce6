//! How to get in: credentials, our name, and the names of the commands over there.

use std::collections::BTreeMap;

use super::renames::RenameTrust;
use crate::base::{GroupSettings, Secret, StoredSecret};
use crate::tls::ClientTls;

/// What a link needs to know of a group to talk to its servers. `Debug` does not show the password.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerAccess {
    /// ACL user; none is the server's default user.
    pub auth_user: Option<String>,
    /// Password; without one no AUTH is sent.
    pub auth_pass: Option<Secret>,
    /// What CLIENT LIST shows; empty is no name.
    pub client_name: String,
    /// Upper-case stock name to name in use.
    pub rename_commands: BTreeMap<String, String>,
    /// Which of those names are used.
    pub renames: RenameTrust,
    /// Why there is no way in: the password is sealed, and this sentinel cannot open it. No connection is made then.
    pub locked: Option<String>,
    /// How to encrypt the connection; none is in clear text.
    pub tls: Option<ClientTls>,
}

impl ServerAccess {
    /// The access that a group's settings describe. A password that is still sealed is no way in.
    pub fn of(settings: &GroupSettings, client_name: impl Into<String>) -> Self {
        let (auth_pass, locked) = match &settings.auth_pass {
            None => (None, None),
            Some(StoredSecret::Clear(pass)) => (Some(pass.clone()), None),
            Some(StoredSecret::Sealed(sealed)) => {
                (None, Some(format!("the password is sealed with key id {}, and was not opened", sealed.key())))
            }
        };
        Self {
            auth_user: settings.auth_user.clone(),
            auth_pass,
            locked,
            client_name: client_name.into(),
            rename_commands: settings.rename_commands.clone(),
            renames: RenameTrust::default(),
            tls: None,
        }
    }

    /// The same over TLS, if there is any.
    pub fn over(self, tls: Option<ClientTls>) -> Self {
        Self { tls, ..self }
    }

    /// The name of a command over there (`name` is the stock name in upper case).
    pub fn name(&self, name: &str) -> String {
        self.renamed(name).unwrap_or(name).to_owned()
    }

    /// REPLICAOF over there, and the name to use where that one is refused: an ACL may allow the command under one of its names only. A
    /// renamed SLAVEOF comes first, since stock configuration files rename that one.
    pub fn replicaof(&self) -> [String; 2] {
        let names = match (self.renamed("REPLICAOF"), self.renamed("SLAVEOF")) {
            (None, Some(old)) => [old, "REPLICAOF"],
            (new, old) => [new.unwrap_or("REPLICAOF"), old.unwrap_or("SLAVEOF")],
        };
        names.map(ToOwned::to_owned)
    }

    fn renamed(&self, name: &str) -> Option<&str> {
        self.rename_commands.get(name).map(String::as_str).filter(|to| self.renames.allows(name, to))
    }

    /// A command by its stock name and arguments.
    pub(crate) fn command(&self, name: &str, arguments: &[&str]) -> Vec<String> {
        std::iter::once(self.name(name)).chain(arguments.iter().map(|&word| word.to_owned())).collect()
    }

    /// AUTH, if there is something to say.
    pub(super) fn auth(&self) -> Option<Vec<String>> {
        let pass = self.auth_pass.as_ref()?.expose();
        Some(match &self.auth_user {
            Some(user) => self.command("AUTH", &[user, pass]),
            None => self.command("AUTH", &[pass]),
        })
    }

    /// CLIENT SETNAME, if we have a name.
    pub(super) fn set_name(&self) -> Option<Vec<String>> {
        (!self.client_name.is_empty()).then(|| self.command("CLIENT", &["SETNAME", &self.client_name]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_goes_by_its_name_over_there() {
        let mut access = ServerAccess { auth_pass: Some(Secret::new("pw")), client_name: "me".into(), ..ServerAccess::default() };
        assert_eq!(access.auth(), Some(vec!["AUTH".to_owned(), "pw".to_owned()]));
        assert_eq!(access.replicaof(), ["REPLICAOF", "SLAVEOF"]);
        for (stock, renamed) in [("AUTH", "A"), ("CLIENT", "C"), ("SLAVEOF", "S")] {
            access.rename_commands.insert(stock.to_owned(), renamed.to_owned());
        }
        access.auth_user = Some("u".into());
        assert_eq!(access.auth(), Some(vec!["A".to_owned(), "u".to_owned(), "pw".to_owned()]));
        assert_eq!(access.set_name(), Some(vec!["C".to_owned(), "SETNAME".to_owned(), "me".to_owned()]));
        assert_eq!(access.replicaof(), ["S", "REPLICAOF"], "a stock file renames SLAVEOF");
        access.rename_commands.insert("REPLICAOF".to_owned(), "R".to_owned());
        assert_eq!(access.replicaof(), ["R", "S"]);
    }

    #[test]
    fn the_password_is_not_shown() {
        let access = ServerAccess { auth_pass: Some(Secret::new("hunter2")), ..ServerAccess::default() };
        assert!(!format!("{access:?}").contains("hunter2"));
    }
}
