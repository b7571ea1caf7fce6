//! What operators say, in our words; checked before anything is proposed.

use tonic::Status;

use crate::base::settings::SettingChange;
use crate::base::{Addr, GroupName, NodeId};
use crate::conf::options::{OptionError, parse_change};
use crate::proto::admin as pb;

pub(in super::super) fn group_name(text: &str) -> Result<GroupName, Status> {
    GroupName::new(text).map_err(|_| {
        let quoted = super::super::refuse::quoted(text);
        Status::invalid_argument(format!(
            "{quoted} cannot name a master: a name has 1 to 128 characters, without blanks, commas or control characters"
        ))
    })
}

pub(in super::super) fn addr(what: &str, given: Option<pb::Address>) -> Result<Addr, Status> {
    let bad = |problem: &str| Status::invalid_argument(format!("{what}: {problem}"));
    let given = given.ok_or_else(|| bad("no address is given"))?;
    let port = u16::try_from(given.port).ok().filter(|port| *port > 0).ok_or_else(|| bad("a port is a number from 1 to 65535"))?;
    Addr::new(given.host, port).map_err(|_| bad("a host is a name or an IP address without brackets, of at most 255 characters"))
}

pub(in super::super) fn member_id(what: &str, id: u64) -> Result<NodeId, Status> {
    if id == 0 { Err(Status::invalid_argument(format!("{what}: an id is at least 1"))) } else { Ok(NodeId(id)) }
}

/// The changes in the order of the message's fields.
pub(in super::super) fn changes(options: pb::GroupOptions) -> Result<Vec<SettingChange>, Status> {
    let policy = options.promotion_policy.as_deref().map(policy).transpose()?;
    let simple = [
        options.quorum.map(SettingChange::Quorum),
        options.down_after_ms.map(SettingChange::DownAfterMs),
        options.crash_down_after_ms.map(SettingChange::CrashDownAfterMs),
        options.failover_timeout_ms.map(SettingChange::FailoverTimeoutMs),
        options.parallel_syncs.map(SettingChange::ParallelSyncs),
        options.master_reboot_down_after_ms.map(SettingChange::MasterRebootDownAfterMs),
        options.auth_user.map(|user| SettingChange::AuthUser(unless_empty(user))),
        options.auth_pass.map(|pass| parsed("auth_pass", "auth-pass", &pass)).transpose()?,
        policy,
        options.fence_max_lag_s.map(max_lag).transpose()?,
        options.replica_forget_after_ms.map(SettingChange::ReplicaForgetAfterMs),
        options.replicas_fixed.map(SettingChange::ReplicasFixed),
        options.max_replicas.map(max_replicas).transpose()?,
    ];
    let renames = options.rename_commands.into_iter().map(rename).collect::<Result<Vec<_>, _>>()?;
    Ok(simple.into_iter().flatten().chain(renames).collect())
}

fn unless_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn policy(word: &str) -> Result<SettingChange, Status> {
    parsed("promotion_policy", "promotion-policy", word)
}

fn max_lag(seconds: u32) -> Result<SettingChange, Status> {
    parsed("fence_max_lag_s", "fence-max-lag", &seconds.to_string())
}

fn max_replicas(count: u32) -> Result<SettingChange, Status> {
    parsed("max_replicas", "max-replicas", &count.to_string())
}

/// By the same table as the file and SENTINEL SET.
fn parsed(field: &str, option: &str, word: &str) -> Result<SettingChange, Status> {
    parse_change(option, &[word]).map_err(|problem| match problem {
        OptionError::Unknown { .. } | OptionError::Invalid { .. } => Status::invalid_argument(format!("{field}: {problem}")),
    })
}

fn rename(rename: pb::RenameCommand) -> Result<SettingChange, Status> {
    parse_change("rename-command", &[&rename.command, &rename.to])
        .map_err(|problem| Status::invalid_argument(format!("rename_commands: {problem}")))
}
