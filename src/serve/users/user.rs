//! One user: passwords, commands, channels.

use std::fmt::Write as _;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::categories;
use super::log::Denial;
use crate::base::Secret;
use crate::serve::glob;

/// A password's SHA-256 hash.
pub(super) type Hash = [u8; 32];

/// A user. `Debug` shows hashes, never passwords: those are not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct User {
    pub(super) on: bool,
    pub(super) nopass: bool,
    pub(super) passwords: Vec<Hash>,
    /// Accepted and shown; there are no keys here.
    pub(super) keys: Patterns,
    pub(super) channels: Patterns,
    pub(super) commands: Commands,
}

/// Patterns, or everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Patterns {
    pub(super) all: bool,
    pub(super) some: Vec<String>,
}

/// What a user may run: all or nothing, and then rules of which the last that fits counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Commands {
    pub(super) all: bool,
    pub(super) rules: Vec<(bool, Scope)>,
}

/// What a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// `@admin`.
    Category(&'static str),
    /// `ping`, or `sentinel` with all its subcommands, or `sentinel|masters`.
    Name(String),
    /// `info|server`: a command with this first argument.
    FirstArgument(String, String),
}

impl Scope {
    fn fits(&self, command: &str, words: &[Bytes]) -> bool {
        match self {
            Self::Category(name) => categories::of(command).contains(name),
            Self::Name(name) => command.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('|')),
            Self::FirstArgument(name, argument) => {
                name == command && words.get(1).is_some_and(|word| word.eq_ignore_ascii_case(argument.as_bytes()))
            }
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Category(name) => format!("@{name}"),
            Self::Name(name) => name.clone(),
            Self::FirstArgument(name, argument) => format!("{name}|{argument}"),
        }
    }
}

impl Commands {
    /// Adds a rule; earlier ones that it makes meaningless go.
    pub(super) fn add(&mut self, allow: bool, scope: Scope) {
        let (same, below) = (scope.shown(), scope.shown() + "|");
        self.rules.retain(|(_, known)| known.shown() != same && !known.shown().starts_with(&below));
        self.rules.push((allow, scope));
    }

    fn allow(&self, command: &str, words: &[Bytes]) -> bool {
        self.rules.iter().rev().find(|(_, scope)| scope.fits(command, words)).map_or(self.all, |(allow, _)| *allow)
    }

    pub(crate) fn shown(&self) -> String {
        let mut text = if self.all { "+@all" } else { "-@all" }.to_owned();
        for (allow, scope) in &self.rules {
            let _ = write!(text, " {}{}", if *allow { '+' } else { '-' }, scope.shown());
        }
        text
    }
}

impl Patterns {
    pub(super) const fn everything() -> Self {
        Self { all: true, some: Vec::new() }
    }

    fn shown(&self, sign: char) -> String {
        if self.all {
            return format!("{sign}*");
        }
        self.some.iter().map(|pattern| format!("{sign}{pattern}")).collect::<Vec<_>>().join(" ")
    }
}

impl User {
    /// A user who may do nothing yet.
    pub(crate) fn new(all_channels: bool) -> Self {
        Self { channels: Patterns { all: all_channels, some: Vec::new() }, ..Self::default() }
    }

    /// One who may do everything, with this password if there is one.
    pub(super) fn unrestricted(password: Option<&Secret>) -> Self {
        Self {
            on: true,
            nopass: password.is_none(),
            passwords: password.map(|secret| hash(secret.expose().as_bytes())).into_iter().collect(),
            keys: Patterns::everything(),
            channels: Patterns::everything(),
            commands: Commands { all: true, rules: Vec::new() },
        }
    }

    /// Takes over another's passwords.
    pub(super) fn passwords_of(&mut self, other: &Self) {
        self.passwords.clone_from(&other.passwords);
    }

    /// Whether anybody may be this user.
    pub(super) const fn open(&self) -> bool {
        self.on && self.nopass
    }

    pub(super) const fn is_on(&self) -> bool {
        self.on
    }

    pub(super) const fn nopass(&self) -> bool {
        self.nopass
    }

    /// Compares without telling by its time how much of a guess was right.
    pub(super) fn admits(&self, password: &[u8]) -> bool {
        let guess = hash(password);
        let known = self.passwords.iter().fold(false, |known, hash| known | (differences(hash, &guess) == 0));
        self.on & (self.nopass | known)
    }

    /// Whether the user may run a command. `always` is for what strangers may use, too.
    pub(super) fn check(&self, command: &str, always: bool, words: &[Bytes]) -> Result<(), Denial> {
        if !always && !self.commands.allow(command, words) {
            return Err(Denial::command(command));
        }
        if self.channels.all {
            return Ok(());
        }
        let denied = match command {
            "subscribe" => words[1..].iter().find(|name| !self.may_hear(name)),
            "publish" => words.get(1).filter(|name| !self.may_hear(name)),
            // A pattern has to be one of the user's, letter by letter: what it may stand for cannot be told.
            "psubscribe" => words[1..].iter().find(|pattern| !self.channels.some.iter().any(|own| own.as_bytes() == &pattern[..])),
            _ => None,
        };
        denied.map_or(Ok(()), |name| Err(Denial::channel(name)))
    }

    fn may_hear(&self, channel: &[u8]) -> bool {
        self.channels.some.iter().any(|pattern| glob::matches(pattern.as_bytes(), channel))
    }

    /// Whether this user may hear everything that `other` may.
    pub(super) fn hears_all_of(&self, other: &Self) -> bool {
        self.channels.all || (!other.channels.all && other.channels.some.iter().all(|pattern| self.channels.some.contains(pattern)))
    }

    /// `on` or `off`, and `nopass`.
    pub(crate) fn flags(&self) -> Vec<&'static str> {
        let nopass = self.nopass.then_some("nopass");
        std::iter::once(if self.on { "on" } else { "off" }).chain(nopass).collect()
    }

    /// The hashes in hex.
    pub(crate) fn hashes(&self) -> impl Iterator<Item = String> + '_ {
        self.passwords.iter().map(hex)
    }

    /// The rules about commands.
    pub(crate) fn commands(&self) -> String {
        self.commands.shown()
    }

    /// The patterns of keys.
    pub(crate) fn keys(&self) -> String {
        self.keys.shown('~')
    }

    /// The patterns of channels.
    pub(crate) fn channels(&self) -> String {
        self.channels.shown('&')
    }

    /// The rules that make this user, as in a configuration file.
    pub(crate) fn line(&self, name: &str) -> String {
        let mut words = vec!["user".to_owned(), name.to_owned()];
        words.extend(self.flags().into_iter().map(str::to_owned));
        words.extend(self.hashes().map(|hash| format!("#{hash}")));
        words.push(self.keys());
        if !self.channels.all {
            words.push("resetchannels".to_owned());
        }
        words.extend([self.channels(), self.commands()]);
        words.retain(|word| !word.is_empty());
        words.join(" ")
    }
}

pub(super) fn hash(password: &[u8]) -> Hash {
    Sha256::digest(password).into()
}

fn hex(hash: &Hash) -> String {
    hash.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn differences(a: &Hash, b: &Hash) -> u8 {
    a.iter().zip(b).fold(0, |differs, (a, b)| std::hint::black_box(differs | (a ^ b)))
}
