//! One rule of a user, as in `user` lines and ACL SETUSER.

use super::categories;
use super::user::{Commands, Hash, Patterns, Scope, User, hash};
use crate::serve::resp::command;

/// Passwords, patterns, and rules about commands, of one user; each.
const RULES_OF_A_USER: usize = 512;
/// Bytes in one rule.
const RULE_BYTES: usize = 1024;

/// Why a rule cannot be applied, in Redis's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RuleError {
    #[error("Unknown command or category name in ACL")]
    Unknown,
    #[error("Syntax error")]
    Syntax,
    #[error("The password you are trying to remove from the user does not exist")]
    NoSuchPassword,
    #[error("The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters")]
    BadHash,
    #[error("Allowing first-arg of a subcommand is not supported")]
    FirstArgumentOfSubcommand,
    #[error(
        "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. \
         Try 'resetkeys' to start with an empty list of patterns"
    )]
    AllKeys,
    #[error(
        "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. \
         Try 'resetchannels' to start with an empty list of channels"
    )]
    AllChannels,
    #[error("Selectors are not supported by a sentinel, which has no keys")]
    Selector,
    #[error("There are too many of this kind")]
    TooMany,
    #[error("A rule may have at most {RULE_BYTES} bytes")]
    TooLong,
}

impl RuleError {
    /// With the rule, unless that may be a password.
    pub(super) fn about(self, rule: &str) -> String {
        if rule.starts_with(['>', '<', '#', '!']) { self.to_string() } else { format!("rule '{}': {self}", rule.escape_debug()) }
    }
}

impl User {
    /// Applies one rule. After an error the user may be half changed: apply to a copy.
    pub(crate) fn apply(&mut self, rule: &[u8], all_channels: bool) -> Result<(), RuleError> {
        if rule.len() > RULE_BYTES {
            return Err(RuleError::TooLong);
        }
        // A password may be any bytes, all else is text.
        match rule {
            [b'>', password @ ..] => return self.add_password(hash(password)),
            [b'<', password @ ..] => return self.remove_password(&hash(password)),
            _ => {}
        }
        let text = std::str::from_utf8(rule).map_err(|_| RuleError::Syntax)?;
        match text.to_ascii_lowercase().as_str() {
            "on" => self.on = true,
            "off" => self.on = false,
            "nopass" => {
                self.nopass = true;
                self.passwords.clear();
            }
            "resetpass" => {
                self.nopass = false;
                self.passwords.clear();
            }
            "allkeys" | "~*" => self.keys = Patterns::everything(),
            "resetkeys" => self.keys = Patterns::default(),
            "allchannels" | "&*" => self.channels = Patterns::everything(),
            "resetchannels" => self.channels = Patterns::default(),
            "allcommands" | "+@all" => self.commands = Commands { all: true, rules: Vec::new() },
            "nocommands" | "-@all" => self.commands = Commands::default(),
            "reset" => *self = Self::new(all_channels),
            // About payloads and selectors of a data server: nothing here.
            "sanitize-payload" | "skip-sanitize-payload" | "clearselectors" => {}
            _ => return self.apply_signed(text),
        }
        Ok(())
    }

    fn apply_signed(&mut self, text: &str) -> Result<(), RuleError> {
        let mut letters = text.chars();
        let (sign, rest) = (letters.next(), letters.as_str());
        match sign {
            Some('#') => self.add_password(parse_hash(rest)?),
            Some('!') => self.remove_password(&parse_hash(rest)?),
            Some('~') => add_pattern(&mut self.keys, rest, RuleError::AllKeys),
            Some('&') => add_pattern(&mut self.channels, rest, RuleError::AllChannels),
            Some('%') => match rest.split_once('~') {
                Some((kinds, pattern)) if !kinds.is_empty() && kinds.chars().all(|kind| "rwRW".contains(kind)) => {
                    add_pattern(&mut self.keys, pattern, RuleError::AllKeys)
                }
                _ => Err(RuleError::Syntax),
            },
            Some('+') => self.permit(true, rest),
            Some('-') => self.permit(false, rest),
            Some('(') => Err(RuleError::Selector),
            _ => Err(RuleError::Syntax),
        }
    }

    fn add_password(&mut self, hash: Hash) -> Result<(), RuleError> {
        self.nopass = false;
        if !self.passwords.contains(&hash) {
            check_room(self.passwords.len())?;
            self.passwords.push(hash);
        }
        Ok(())
    }

    fn remove_password(&mut self, hash: &Hash) -> Result<(), RuleError> {
        let before = self.passwords.len();
        self.passwords.retain(|known| known != hash);
        if self.passwords.len() < before { Ok(()) } else { Err(RuleError::NoSuchPassword) }
    }

    fn permit(&mut self, allow: bool, what: &str) -> Result<(), RuleError> {
        check_room(self.commands.rules.len())?;
        self.commands.add(allow, scope(allow, &what.to_ascii_lowercase())?);
        Ok(())
    }
}

fn scope(allow: bool, what: &str) -> Result<Scope, RuleError> {
    if let Some(category) = what.strip_prefix('@') {
        return categories::ALL.into_iter().find(|known| *known == category).map(Scope::Category).ok_or(RuleError::Unknown);
    }
    if let Some(name) = command::canonical(what) {
        return Ok(Scope::Name(name));
    }
    let (name, argument) = what.split_once('|').ok_or(RuleError::Unknown)?;
    if argument.contains('|') && allow {
        return Err(RuleError::FirstArgumentOfSubcommand);
    }
    match command::canonical(name) {
        // Only a permission can be that narrow, and only for a command without subcommands.
        Some(name) if allow && !argument.is_empty() && !command::has_subcommands(&name) => {
            Ok(Scope::FirstArgument(name, argument.to_owned()))
        }
        Some(_) | None => Err(RuleError::Unknown),
    }
}

fn add_pattern(patterns: &mut Patterns, pattern: &str, all: RuleError) -> Result<(), RuleError> {
    if pattern.contains(|c: char| c.is_whitespace() || c == '\0') {
        return Err(RuleError::Syntax);
    }
    if patterns.all {
        return Err(all);
    }
    if !patterns.some.iter().any(|known| known == pattern) {
        check_room(patterns.some.len())?;
        patterns.some.push(pattern.to_owned());
    }
    Ok(())
}

fn check_room(count: usize) -> Result<(), RuleError> {
    if count < RULES_OF_A_USER { Ok(()) } else { Err(RuleError::TooMany) }
}

fn parse_hash(text: &str) -> Result<Hash, RuleError> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(RuleError::BadHash);
    }
    let mut hash = Hash::default();
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| RuleError::BadHash)?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| RuleError::BadHash)?;
    }
    Ok(hash)
}
