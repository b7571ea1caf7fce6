//! What this sentinel sees, as events.

use super::wording::{self, Wording};
use crate::board::{Notice, NoticeKind};
use crate::machine::State;

/// The events of one notice; none if the group has been removed meanwhile.
pub(super) fn worded(notice: &Notice, state: &State) -> Vec<Wording> {
    let Some(group) = state.groups.get(&notice.group) else { return Vec::new() };
    let node = wording::data_node(&notice.group, &notice.node, &group.master.addr);
    let event = match &notice.what {
        NoticeKind::Down => Wording::warning("+sdown", node),
        NoticeKind::Up => Wording::warning("-sdown", node),
        NoticeKind::RoleChanged { to_master, expected } => {
            let role = if *to_master { "master" } else { "slave" };
            let channel = if *expected { "+role-change" } else { "-role-change" };
            Wording::verbose(channel, format!("{node} new reported role is {role}"))
        }
        NoticeKind::ForeignServer { why: Some(why) } => Wording::warning("+foreign-server", format!("{node} #{why}")),
        NoticeKind::ForeignServer { why: None } => Wording::warning("-foreign-server", node),
        NoticeKind::Demoted => Wording::notice("+convert-to-slave", node),
        NoticeKind::Repointed => Wording::notice("+fix-slave-config", node),
        NoticeKind::HeldBack { why, holds } => {
            let channel = if *holds { "+held-back" } else { "-held-back" };
            Wording::warning(channel, format!("{node} #{why}"))
        }
        NoticeKind::FenceProblem { why } => {
            Wording::warning("+fence-problem", format!("{} #{why}", wording::master(&notice.group, &group.master.addr)))
        }
        NoticeKind::FenceWell => Wording::warning("-fence-problem", wording::master(&notice.group, &group.master.addr)),
        NoticeKind::Unready { why } => {
            Wording::warning("+failover-unready", format!("{} #{why}", wording::master(&notice.group, &group.master.addr)))
        }
        NoticeKind::Ready => Wording::warning("-failover-unready", wording::master(&notice.group, &group.master.addr)),
        NoticeKind::RenameRefused { what } => Wording::warning("+rename-refused", format!("{node} #{what}")),
        NoticeKind::PointedAtNewMaster => Wording::notice("+slave-reconf-sent", node),
        NoticeKind::Foreign { id, addr, present } => {
            let channel = if *present { "+foreign-sentinel" } else { "-foreign-sentinel" };
            Wording::warning(channel, wording::sentinel(id, addr, &notice.group, &group.master.addr))
        }
    };
    vec![event]
}
