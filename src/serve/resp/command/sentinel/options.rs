//! The options of SENTINEL SET, in one place: all are read before any is proposed.

use bytes::Bytes;

use super::super::super::number::integer;
use super::super::super::reply::Reply;
use crate::base::Secret;
use crate::base::settings::{PromotionPolicy, SettingChange};

/// How an option's values become a change; none if they are out of range.
enum Form {
    /// A number with a lower bound.
    Number { least: i64, change: fn(u64) -> Option<SettingChange> },
    /// A text; the empty one unsets.
    Text(fn(Option<String>) -> SettingChange),
    /// A promotion policy.
    Policy,
    /// Two words: stock name and name in use.
    Rename,
    /// A script's path: not to be set by whoever reaches the port.
    Script,
}

struct SettableOption {
    names: &'static [&'static str],
    form: Form,
}

const fn number(names: &'static [&'static str], least: i64, change: fn(u64) -> Option<SettingChange>) -> SettableOption {
    SettableOption { names, form: Form::Number { least, change } }
}

static OPTIONS: &[SettableOption] = &[
    number(&["quorum"], 1, |n| Some(SettingChange::Quorum(u32::try_from(n).ok()?))),
    number(&["down-after-milliseconds"], 1, |ms| Some(SettingChange::DownAfterMs(ms))),
    number(&["crash-down-after-milliseconds"], 0, |ms| Some(SettingChange::CrashDownAfterMs(ms))),
    number(&["failover-timeout"], 1, |ms| Some(SettingChange::FailoverTimeoutMs(ms))),
    number(&["parallel-syncs"], 1, |n| Some(SettingChange::ParallelSyncs(u32::try_from(n).ok()?))),
    number(&["master-reboot-down-after-period", "primary-reboot-down-after-period"], 0, |ms| {
        Some(SettingChange::MasterRebootDownAfterMs(ms))
    }),
    SettableOption { names: &["auth-user"], form: Form::Text(SettingChange::AuthUser) },
    SettableOption { names: &["auth-pass"], form: Form::Text(|text| SettingChange::AuthPass(text.map(Secret::new))) },
    SettableOption { names: &["promotion-policy"], form: Form::Policy },
    SettableOption { names: &["rename-command"], form: Form::Rename },
    SettableOption { names: &["notification-script", "client-reconfig-script"], form: Form::Script },
];

/// Reads `<option> <value> ...`.
pub(super) fn parse(mut words: &[Bytes]) -> Result<Vec<SettingChange>, Reply> {
    let mut changes = Vec::new();
    while let [name, rest @ ..] = words {
        let (change, rest) = parse_one(name, rest)?;
        changes.push(change);
        words = rest;
    }
    Ok(changes)
}

fn parse_one<'a>(name: &[u8], rest: &'a [Bytes]) -> Result<(SettingChange, &'a [Bytes]), Reply> {
    let known = |option: &&SettableOption| option.names.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name));
    let option = OPTIONS.iter().find(known).ok_or_else(|| unknown(name))?;
    let (value, rest) = rest.split_first().ok_or_else(|| unknown(name))?;
    let change = match option.form {
        Form::Number { least, change } => {
            let number = integer(value).filter(|number| *number >= least).and_then(|number| u64::try_from(number).ok());
            number.and_then(change)
        }
        Form::Text(change) => std::str::from_utf8(value).ok().map(|text| change((!text.is_empty()).then(|| text.to_owned()))),
        Form::Policy => policy(value).map(SettingChange::PromotionPolicy),
        Form::Rename => {
            let (to, rest) = rest.split_first().ok_or_else(|| unknown(name))?;
            let command = command_name(value).ok_or_else(|| invalid(value, name))?;
            let to = command_name(to).ok_or_else(|| invalid(to, name))?;
            return Ok((SettingChange::RenameCommand { command: command.to_ascii_uppercase(), to }, rest));
        }
        Form::Script => return Err(scripts_denied()),
    };
    change.map(|change| (change, rest)).ok_or_else(|| invalid(value, name))
}

fn policy(value: &[u8]) -> Option<PromotionPolicy> {
    let all = [PromotionPolicy::Auto, PromotionPolicy::Strict, PromotionPolicy::Available];
    all.into_iter().find(|policy| policy.as_str().as_bytes().eq_ignore_ascii_case(value))
}

fn command_name(word: &[u8]) -> Option<String> {
    std::str::from_utf8(word).ok().filter(|word| !word.is_empty()).map(str::to_owned)
}

fn scripts_denied() -> Reply {
    Reply::error(
        "ERR Reconfiguration of scripts path is denied for security reasons. Check the deny-scripts-reconfig configuration directive \
         in your Sentinel configuration",
    )
}

fn unknown(option: &[u8]) -> Reply {
    let option = super::super::echoed(option, 128);
    Reply::error(format!("ERR Unknown option or number of arguments for SENTINEL SET '{option}'"))
}

fn invalid(value: &[u8], option: &[u8]) -> Reply {
    // Of a password only the password could be meant, and that is never repeated.
    let secret = option.eq_ignore_ascii_case(b"auth-pass");
    let value = if secret { "******".to_owned() } else { super::super::echoed(value, 128) };
    Reply::error(format!("ERR Invalid argument '{value}' for SENTINEL SET '{}'", super::super::echoed(option, 128)))
}
