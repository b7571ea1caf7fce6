//! Users: who may come in, and what they may do, on all ports for clients.
//!
//! [`Access`] is the one rule for the three ports; it stands on the list of users ([`Acl`]), which speaks of the commands of the SENTINEL port. In
//! reading order: `access`, `basic` (passwords in headers), `logins` (the limit on wrong ones), `user` and `rule`, `file` (`aclfile`), `log` (ACL LOG).
//!
//! Users come from the configuration (`user` lines or `aclfile`), and from ACL SETUSER for as long as this process runs. They
//! are this sentinel's alone: the others are told of nothing. Passwords are kept as SHA-256 hashes only.

mod access;
mod basic;
pub(crate) mod categories;
mod file;
mod log;
mod logins;
mod rule;
mod user;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;

use tokio::sync::watch;

use crate::base::Secret;
use crate::conf::AclSettings;

pub use access::{Access, Port};
pub(crate) use access::{Arrival, BadLogin, Caller, Category, Refusal, RequestNeed};
pub(crate) use log::{AclLog, Denial, Occasion, Reason};
pub(crate) use rule::RuleError;
pub(crate) use user::User;

/// Users that there may be.
const USERS: usize = 4096;

/// The user of those who have not said who they are.
pub(crate) const DEFAULT: &str = "default";

/// Why the users cannot be as configured. Shows no password.
#[derive(Debug, thiserror::Error)]
pub enum AclError {
    /// A `user` line, or a line of the file, is wrong.
    #[error("{place}: user '{user}': {problem}")]
    Line {
        /// Where.
        place: String,
        /// Whose.
        user: String,
        /// What is wrong.
        problem: String,
    },
    /// The file cannot be read or written.
    #[error("aclfile {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// The users by name.
pub(crate) type Users = BTreeMap<String, Arc<User>>;

/// All that is known of users. Shared by all sessions.
#[derive(Debug)]
pub struct Acl {
    users: RwLock<Users>,
    /// Counts the changes of them.
    changes: watch::Sender<u64>,
    log: Mutex<AclLog>,
    file: Option<PathBuf>,
    all_channels: bool,
    /// What user default is where nothing else is said of it.
    fallback: Arc<User>,
}

impl Acl {
    /// The users of the configuration.
    ///
    /// # Errors
    /// Which line is wrong, and why.
    pub fn new(settings: &AclSettings, requirepass: Option<&Secret>) -> Result<Self, AclError> {
        let fallback = Arc::new(User::unrestricted(requirepass));
        let acl = Self {
            users: RwLock::new(BTreeMap::from([(DEFAULT.to_owned(), Arc::clone(&fallback))])),
            changes: watch::Sender::new(0),
            log: Mutex::new(AclLog::new(settings.log_entries)),
            file: settings.file.clone(),
            all_channels: settings.all_channels_by_default,
            fallback,
        };
        if settings.file.is_some() {
            acl.load()?;
        }
        let mut users = acl.users();
        for line in &settings.users {
            let wrong = |problem| AclError::Line { place: line.place.to_string(), user: line.name.clone(), problem };
            let mut user = User::new(acl.all_channels);
            // A line may open the door or give passwords; one that does neither leaves requirepass in force.
            if line.name == DEFAULT && !line.rules.iter().any(|rule| rule.expose().starts_with(['>', '#']) || rule.expose() == "nopass") {
                user.passwords_of(&acl.fallback);
            }
            for rule in &line.rules {
                user.apply(rule.expose().as_bytes(), acl.all_channels).map_err(|error| wrong(error.about(rule.expose())))?;
            }
            users.insert(line.name.clone(), Arc::new(user));
        }
        acl.replace(users);
        Ok(acl)
    }

    /// A copy of all users.
    pub(crate) fn users(&self) -> Users {
        self.users.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One user.
    pub(crate) fn user(&self, name: &str) -> Option<Arc<User>> {
        self.users.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn replace(&self, users: Users) {
        *self.users.write().unwrap_or_else(PoisonError::into_inner) = users;
        self.note_change();
    }

    fn note_change(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Follows changes of the users.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Whether there is such a user, and it is on.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.user(name).is_some_and(|user| user.is_on())
    }

    /// Whether everybody may be this user: it is on and has no password.
    pub(crate) fn is_open(&self, name: &str) -> bool {
        self.user(name).is_some_and(|user| user.open())
    }

    /// What was denied.
    pub(crate) fn log(&self) -> MutexGuard<'_, AclLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether strangers are user default: it is on and has no password.
    pub(crate) fn open(&self) -> bool {
        self.is_open(DEFAULT)
    }

    /// Whether AUTH with a password alone makes sense.
    pub(crate) fn default_has_password(&self) -> bool {
        self.user(DEFAULT).is_some_and(|user| !user.nopass())
    }

    /// Whether this is the user's password, and the user may come in.
    pub(crate) fn admits(&self, name: &[u8], password: &[u8]) -> bool {
        let user = std::str::from_utf8(name).ok().and_then(|name| self.user(name));
        // Whoever is unknown is compared all the same, so that the time says nothing of who is known.
        user.unwrap_or_else(|| Arc::new(User::new(false))).admits(password)
    }

    /// Whether a user may run a command, by its full name, with these words.
    pub(crate) fn check(&self, name: &str, command: &str, always: bool, words: &[Bytes]) -> Result<(), Denial> {
        match self.user(name) {
            Some(user) => user.check(command, always, words),
            // Deleted a moment ago: its sessions are about to end.
            None => Err(Denial::command(command)),
        }
    }

    /// Makes or changes a user, wholly or not at all. Returns whether those who subscribed may have lost a channel.
    pub(crate) fn set(&self, name: &str, rules: &[Bytes]) -> Result<bool, (Bytes, RuleError)> {
        let mut users = self.users.write().unwrap_or_else(PoisonError::into_inner);
        let old = users.get(name);
        if old.is_none() && users.len() >= USERS {
            return Err((Bytes::from(name.to_owned()), RuleError::TooMany));
        }
        let mut user = old.map_or_else(|| User::new(self.all_channels), |user| (**user).clone());
        for rule in rules {
            user.apply(rule, self.all_channels).map_err(|error| (rule.clone(), error))?;
        }
        let lost = old.is_some_and(|old| !user.hears_all_of(old));
        users.insert(name.to_owned(), Arc::new(user));
        drop(users);
        self.note_change();
        Ok(lost)
    }

    /// Removes a user; false if there is none.
    pub(crate) fn remove(&self, name: &str) -> bool {
        let removed = self.users.write().unwrap_or_else(PoisonError::into_inner).remove(name).is_some();
        self.note_change();
        removed
    }

    /// The file, if there is one.
    pub(crate) const fn file(&self) -> Option<&PathBuf> {
        self.file.as_ref()
    }

    /// Reads the file anew, wholly or not at all.
    pub(crate) fn load(&self) -> Result<(), AclError> {
        let Some(path) = &self.file else { return Ok(()) };
        let mut users = file::read(path, self.all_channels)?;
        users.entry(DEFAULT.to_owned()).or_insert_with(|| Arc::clone(&self.fallback));
        self.replace(users);
        Ok(())
    }

    /// Writes the file.
    pub(crate) fn save(&self) -> Result<(), AclError> {
        match &self.file {
            Some(path) => file::write(path, &self.users()),
            None => Ok(()),
        }
    }
}
