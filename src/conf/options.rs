//! The options of a group: `sentinel <option> <group> <value>...` in the file and `SENTINEL SET <group> <option> <value>...`
//! on the wire read their values here, by one table.

use std::path::Path;

use super::value::{Problem, optional, shown, whole, yes_no};
use crate::base::commands::check_rename;
use crate::base::settings::{PromotionPolicy, SettingChange};
use crate::base::{StoredSecret, WebhookUrl, limits};

/// Why an option is not taken. The text never holds the value of a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// No option has this name, or not with this many values.
    ///
    /// For SENTINEL SET: `Unknown option or number of arguments for SENTINEL SET '<option>'`.
    #[error("no option {} with {values} value(s)", shown(.option))]
    Unknown {
        /// The option as it was written.
        option: String,
        /// How many values it came with.
        values: usize,
    },
    /// The value is not one that the option can have.
    ///
    /// For SENTINEL SET: `Invalid argument '<value>' for SENTINEL SET '<option>'`.
    #[error("{problem}")]
    Invalid {
        /// The option as it was written.
        option: String,
        /// The value as it was written.
        value: String,
        /// What is wrong and what is expected.
        problem: String,
    },
}

/// One option of a group.
#[derive(Debug)]
pub struct GroupOption {
    /// Its name.
    pub name: &'static str,
    /// Valkey's name for it, where that differs.
    pub alias: Option<&'static str>,
    parse: Parse,
}

/// How the values of an option are read, and so how many there are.
#[derive(Clone, Copy, Debug)]
enum Parse {
    One(fn(&str) -> Result<SettingChange, Problem>),
    Two(fn(&str, &str) -> Result<SettingChange, Problem>),
}

/// Every option of a group.
pub static OPTIONS: &[GroupOption] = &[
    one("quorum", |word| Ok(SettingChange::Quorum(quorum(word)?))),
    one("down-after-milliseconds", |word| Ok(SettingChange::DownAfterMs(positive_ms(word)?))),
    one("crash-down-after-milliseconds", |word| Ok(SettingChange::CrashDownAfterMs(any_ms(word)?))),
    one("failover-timeout", |word| Ok(SettingChange::FailoverTimeoutMs(positive_ms(word)?))),
    one("parallel-syncs", |word| Ok(SettingChange::ParallelSyncs(whole(word, &(1..=u32::MAX))?))),
    GroupOption {
        alias: Some("primary-reboot-down-after-period"),
        ..one("master-reboot-down-after-period", |word| Ok(SettingChange::MasterRebootDownAfterMs(any_ms(word)?)))
    },
    one("auth-user", |word| Ok(SettingChange::AuthUser(optional(short(word, limits::AUTH_USER_BYTES)?)))),
    one("auth-pass", password),
    one("promotion-policy", promotion_policy),
    one("fence-max-lag", |word| Ok(SettingChange::FenceMaxLagS(lag_s(word)?))),
    one("replica-forget-after", |word| Ok(SettingChange::ReplicaForgetAfterMs(any_ms(word)?))),
    one("replicas-fixed", |word| Ok(SettingChange::ReplicasFixed(yes_no(word)?))),
    one("max-replicas", |word| Ok(SettingChange::MaxReplicas(whole(word, &(1..=limits::REPLICAS_PER_GROUP as u32))?))),
    one("notification-script", |word| Ok(SettingChange::NotificationScript(optional(short(word, limits::SCRIPT_PATH_BYTES)?)))),
    one("client-reconfig-script", |word| Ok(SettingChange::ClientReconfigScript(optional(short(word, limits::SCRIPT_PATH_BYTES)?)))),
    one("notification-webhook", webhook),
    GroupOption { name: "rename-command", alias: None, parse: Parse::Two(rename_command) },
];

/// The word, unless it is longer than anybody needs: what is set is kept by all sentinels, for each of thousands of groups. The text of
/// the error does not repeat the word, which may be a password.
fn short(word: &str, most: usize) -> Result<&str, Problem> {
    if word.len() <= most { Ok(word) } else { Err(format!("the value has {} bytes; at most {most} are accepted", word.len())) }
}

const fn one(name: &'static str, parse: fn(&str) -> Result<SettingChange, Problem>) -> GroupOption {
    GroupOption { name, alias: None, parse: Parse::One(parse) }
}

/// Whether it makes the sentinels run or call something: not to be set by whoever reaches the port, unless the file allows it.
pub const fn calls_out(change: &SettingChange) -> bool {
    match change {
        SettingChange::NotificationScript(_) | SettingChange::ClientReconfigScript(_) | SettingChange::NotificationWebhook(_) => true,
        SettingChange::Quorum(_)
        | SettingChange::DownAfterMs(_)
        | SettingChange::CrashDownAfterMs(_)
        | SettingChange::FailoverTimeoutMs(_)
        | SettingChange::ParallelSyncs(_)
        | SettingChange::MasterRebootDownAfterMs(_)
        | SettingChange::AuthUser(_)
        | SettingChange::AuthPass(_)
        | SettingChange::PromotionPolicy(_)
        | SettingChange::FenceMaxLagS(_)
        | SettingChange::ReplicaForgetAfterMs(_)
        | SettingChange::ReplicasFixed(_)
        | SettingChange::MaxReplicas(_)
        | SettingChange::RenameCommand { .. } => false,
    }
}

/// Whether it changes the names by which commands are sent.
pub const fn renames(change: &SettingChange) -> bool {
    matches!(change, SettingChange::RenameCommand { .. })
}

/// Why names of commands are not changed while the sentinels run.
pub const RENAME_DENIED: &str = "Renaming commands is denied for security reasons while the sentinels run. 'sentinel deny-rename-reconfig no' in this \
     sentinel's configuration allows it";

/// What stock Sentinel says of a script that cannot be run here, without the full stop that it has in one place only; none if it
/// can, or if the change names no script.
pub fn script_complaint(change: &SettingChange, dir: &Path) -> Option<&'static str> {
    let (script, complaint) = if let SettingChange::NotificationScript(Some(script)) = change {
        (script, "Notification script seems non existing or non executable")
    } else if let SettingChange::ClientReconfigScript(Some(script)) = change {
        (script, "Client reconfiguration script seems non existing or non executable")
    } else {
        return None;
    };
    (!is_runnable(&dir.join(script))).then_some(complaint)
}

impl GroupOption {
    /// How many values it takes.
    pub const fn values(&self) -> usize {
        match self.parse {
            Parse::One(_) => 1,
            Parse::Two(_) => 2,
        }
    }
}

/// The option of that name, in any case.
pub fn find(option: &str) -> Option<&'static GroupOption> {
    let named = |name: &str| name.eq_ignore_ascii_case(option);
    OPTIONS.iter().find(|row| named(row.name) || row.alias.is_some_and(named))
}

/// Reads one option with its values.
///
/// # Errors
/// [`OptionError`].
pub fn parse_change(option: &str, values: &[&str]) -> Result<SettingChange, OptionError> {
    let unknown = || OptionError::Unknown { option: option.to_owned(), values: values.len() };
    let row = find(option).ok_or_else(unknown)?;
    let parsed = match (row.parse, values) {
        (Parse::One(parse), [value]) => parse(value),
        (Parse::Two(parse), [first, second]) => parse(first, second),
        (Parse::One(_) | Parse::Two(_), _) => return Err(unknown()),
    };
    parsed.map_err(|problem| {
        // Of two values an empty one is what is wrong.
        let value = if values.contains(&"") { String::new() } else { values.join(" ") };
        OptionError::Invalid { option: option.to_owned(), value, problem }
    })
}

/// Reads `option value... option value...`, as SENTINEL SET has them: all or the first that is wrong.
///
/// # Errors
/// [`OptionError`].
pub fn parse_changes(words: &[&str]) -> Result<Vec<SettingChange>, OptionError> {
    let mut changes = Vec::new();
    let mut rest = words;
    while let Some((option, after)) = rest.split_first() {
        let wanted = find(option).map_or(0, GroupOption::values);
        let (values, next) = after.split_at(wanted.min(after.len()));
        changes.push(parse_change(option, values)?);
        rest = next;
    }
    Ok(changes)
}

/// Whether a script could be run: stock Sentinel asks the same when it is named.
fn is_runnable(script: &Path) -> bool {
    script.is_file() && rustix::fs::access(script, rustix::fs::Access::EXEC_OK).is_ok()
}

/// Bytes in a password.
const PASSWORD_BYTES: usize = 4096;
/// Largest span of time that is accepted, in milliseconds: 100 years, so that sums of a few stay far from overflow.
const LONGEST_MS: u64 = 100 * 365 * 24 * 3600 * 1000;

// The first sentence of a message is stock Sentinel's, for those who search for it.

fn positive_ms(word: &str) -> Result<u64, Problem> {
    whole(word, &(1..=LONGEST_MS)).map_err(|problem| format!("negative or zero time parameter. {problem} (milliseconds)"))
}

fn any_ms(word: &str) -> Result<u64, Problem> {
    whole(word, &(0..=LONGEST_MS)).map_err(|problem| format!("negative time parameter. {problem} (milliseconds)"))
}

/// Redis counts the lag in whole seconds.
fn lag_s(word: &str) -> Result<u32, Problem> {
    whole(word, &(1..=3600)).map_err(|problem| format!("{problem} (seconds)"))
}

pub(super) fn quorum(word: &str) -> Result<u32, Problem> {
    whole(word, &(1..=u32::MAX)).map_err(|problem| format!("Quorum must be 1 or greater. {problem}"))
}

fn promotion_policy(word: &str) -> Result<SettingChange, Problem> {
    match word.to_ascii_lowercase().as_str() {
        "auto" => Ok(SettingChange::PromotionPolicy(PromotionPolicy::Auto)),
        "available" => Ok(SettingChange::PromotionPolicy(PromotionPolicy::Available)),
        "strict" => Ok(SettingChange::PromotionPolicy(PromotionPolicy::Strict)),
        _ => Err(format!("{} is not a promotion policy; expected auto, strict or available", shown(word))),
    }
}

/// Redis takes any password; what is longer than any that somebody uses only fills the log.
fn password(word: &str) -> Result<SettingChange, Problem> {
    if word.len() > PASSWORD_BYTES {
        return Err(format!("a password may have at most {PASSWORD_BYTES} bytes"));
    }
    Ok(SettingChange::AuthPass(optional(word).map(StoredSecret::new)))
}

/// The problem does not repeat the value, which may hold a token.
fn webhook(word: &str) -> Result<SettingChange, Problem> {
    let url = optional(word).map(|word| WebhookUrl::new(&word)).transpose();
    url.map(|url| SettingChange::NotificationWebhook(url.map(Into::into))).map_err(|problem| problem.to_string())
}

fn rename_command(command: &str, to: &str) -> Result<SettingChange, Problem> {
    if command.is_empty() || to.is_empty() {
        return Err("an empty name; expected a command and the name that the data nodes know it by".to_owned());
    }
    check_rename(command, to).map_err(|bad| format!("{} cannot stand for {}: {bad}", shown(to), shown(command)))?;
    Ok(SettingChange::RenameCommand { command: command.to_ascii_uppercase(), to: to.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_by_all_sentinels_is_bounded() {
        for (option, most) in [
            ("auth-user", limits::AUTH_USER_BYTES),
            ("notification-script", limits::SCRIPT_PATH_BYTES),
            ("client-reconfig-script", limits::SCRIPT_PATH_BYTES),
        ] {
            assert!(parse_changes(&[option, &"x".repeat(most)]).is_ok(), "{option}");
            let refusal = parse_changes(&[option, &"x".repeat(most + 1)]).expect_err(option).to_string();
            assert!(refusal.contains("at most") && refusal.len() < 200, "{refusal}");
        }
        for option in ["notification-webhook", "promotion-policy", "quorum"] {
            assert!(parse_changes(&[option, &format!("http://{}", "x".repeat(40_000))]).is_err(), "{option}");
        }
        assert!(parse_changes(&["rename-command", "CONFIG", &"x".repeat(40_000)]).is_err());
        assert!(parse_changes(&["rename-command", &"x".repeat(40_000), "CONFIG"]).is_err());
    }

    #[test]
    fn every_option_reads_what_it_names() {
        for row in OPTIONS {
            let values: &[&str] = match row.name {
                "promotion-policy" => &["available"],
                "replicas-fixed" => &["yes"],
                "rename-command" => &["config", "x1"],
                "notification-webhook" => &["https://example.com/x"],
                _ => &["7"],
            };
            assert_eq!(parse_change(&row.name.to_ascii_uppercase(), values).map(|change| change.option()), Ok(row.name));
            assert!(matches!(parse_change(row.name, &[]), Err(OptionError::Unknown { .. })), "{} without a value", row.name);
            assert!(matches!(parse_change(row.name, &["1", "2", "3"]), Err(OptionError::Unknown { .. })), "{} with three", row.name);
        }
    }

    #[test]
    fn bad_values_are_named() {
        for (option, value, part) in [
            ("quorum", "0", "Quorum must be 1 or greater."),
            ("down-after-milliseconds", "abc", "negative or zero time parameter."),
            ("failover-timeout", "-1", "negative or zero time parameter."),
            ("primary-reboot-down-after-period", "-1", "negative time parameter."),
            ("parallel-syncs", "4294967296", "'4294967296' is not a whole number from 1 to 4294967295"),
            ("notification-webhook", "example.com/x", "must begin with http:// or https://"),
            ("promotion-policy", "maybe", "expected auto, strict or available"),
        ] {
            let error = parse_change(option, &[value]);
            assert!(matches!(&error, Err(OptionError::Invalid { problem, .. }) if problem.contains(part)), "{option} {value}: {error:?}");
        }
    }

    #[test]
    fn a_list_of_options_is_read_whole_or_not_at_all() {
        let changes = parse_changes(&["quorum", "3", "rename-command", "CONFIG", "x", "auth-pass", ""]);
        assert_eq!(changes.map(|changes| changes.len()), Ok(3));
        for words in [&["quorum"][..], &["quorum", "3", "nonsense", "1"], &["quorum", "3", "rename-command", "a"], &["x"]] {
            assert!(matches!(parse_changes(words), Err(OptionError::Unknown { .. })), "{words:?}");
        }
        assert_eq!(parse_changes(&[]), Ok(vec![]));
    }
}
