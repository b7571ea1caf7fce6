//! The options of SENTINEL SET: read by the same table as the file's, refused in stock's words. All are read before any is proposed.

use bytes::Bytes;

use super::super::super::context::RespContext;
use super::super::super::reply::Reply;
use crate::base::StoredWebhook;
use crate::base::settings::SettingChange;
use crate::conf::options::{OptionError, RENAME_DENIED, calls_out, parse_changes, renames, script_complaint};

/// Reads `<option> <value> ...`.
pub(super) fn parse(context: &RespContext, words: &[Bytes]) -> Result<Vec<SettingChange>, Reply> {
    let texts: Vec<String> = words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let words: Vec<&str> = texts.iter().map(String::as_str).collect();
    let changes = parse_changes(&words).map_err(refuse)?;
    if context.deny_scripts_reconfig && changes.iter().any(calls_out) {
        return Err(scripts_denied());
    }
    if context.deny_rename_reconfig && changes.iter().any(renames) {
        return Err(Reply::error(format!("ERR {RENAME_DENIED}")));
    }
    if let Some(why) = changes.iter().find_map(|change| webhook_complaint(context, change)) {
        return Err(Reply::error(format!("ERR The webhook would not be called: {why}")));
    }
    match changes.iter().find_map(|change| script_complaint(change, &context.dir)) {
        Some(complaint) => Err(Reply::error(format!("ERR {complaint}"))),
        None => Ok(changes),
    }
}

fn webhook_complaint(context: &RespContext, change: &SettingChange) -> Option<&'static str> {
    let SettingChange::NotificationWebhook(Some(StoredWebhook::Clear(url))) = change else { return None };
    context.call_rules.refusal(url)
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
            // Passwords, and URLs that may hold a token, are never repeated.
            let secret = ["auth-pass", "notification-webhook"].iter().any(|name| option.eq_ignore_ascii_case(name));
            let value = if secret { "******".to_owned() } else { shown(&value) };
            Reply::error(format!("ERR Invalid argument '{value}' for SENTINEL SET '{}'", shown(&option)))
        }
    }
}
