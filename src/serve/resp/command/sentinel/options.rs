//! The options of SENTINEL SET: read by the same table as the file's, refused in stock's words. All are read before any is proposed.

use bytes::Bytes;

use super::super::super::reply::Reply;
use crate::base::settings::SettingChange;
use crate::conf::options::{OptionError, parse_changes};

/// Reads `<option> <value> ...`.
pub(super) fn parse(words: &[Bytes]) -> Result<Vec<SettingChange>, Reply> {
    let texts: Vec<String> = words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let words: Vec<&str> = texts.iter().map(String::as_str).collect();
    let changes = parse_changes(&words).map_err(refuse)?;
    match changes.iter().any(is_script) {
        true => Err(scripts_denied()),
        false => Ok(changes),
    }
}

/// A script's path is not to be set by whoever reaches the port.
const fn is_script(change: &SettingChange) -> bool {
    matches!(change, SettingChange::NotificationScript(_) | SettingChange::ClientReconfigScript(_))
}

fn scripts_denied() -> Reply {
    Reply::error(
        "ERR Reconfiguration of scripts path is denied for security reasons. Check the deny-scripts-reconfig configuration directive \
         in your Sentinel configuration",
    )
}

fn refuse(error: OptionError) -> Reply {
    let shown = |text: &str| super::super::echoed(text.as_bytes(), 128);
    match error {
        OptionError::Unknown { option, .. } => {
            Reply::error(format!("ERR Unknown option or number of arguments for SENTINEL SET '{}'", shown(&option)))
        }
        OptionError::Invalid { option, value, .. } => {
            // Of a password only the password could be meant, and that is never repeated.
            let value = if option.eq_ignore_ascii_case("auth-pass") { "******".to_owned() } else { shown(&value) };
            Reply::error(format!("ERR Invalid argument '{value}' for SENTINEL SET '{}'", shown(&option)))
        }
        OptionError::NotSupported(why) => Reply::error(format!("ERR {why}")),
    }
}
