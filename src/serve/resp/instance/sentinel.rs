//! The entry of another sentinel.

use super::{Fields, InstanceReply, sentinel_is_down};
use crate::base::NodeId;
use crate::machine::SentinelRecord;
use crate::raft::PeerHealth;

/// All fields.
///
/// Sentinels hear each other as Raft peers, so what stock Sentinel tells of PINGs and hellos is told of the last sign of life. There are no
/// votes for a leader: down votes and decisions are in the log.
pub(super) fn fields(portrait: &InstanceReply<'_>, id: NodeId, record: &SentinelRecord, peer: Option<&PeerHealth>) -> Fields {
    let down_after_ms = portrait.group.settings.down_after_ms;
    let heard = peer.and_then(|peer| peer.last_heard);
    let age = portrait.now.ms_since(heard.unwrap_or(portrait.context.me.start));
    let down = sentinel_is_down(peer, portrait.now, down_after_ms) && age > down_after_ms;
    let mut flags = Vec::new();
    if down {
        flags.push("s_down");
    }
    flags.push("sentinel");
    if down || heard.is_none() || peer.is_some_and(|peer| peer.refused.is_some()) {
        flags.push("disconnected");
    }
    if portrait.group.ballot.has(id) {
        flags.push("master_down");
    }
    let mut fields = Fields::default();
    fields.put("name", &record.sentinel_id);
    fields.put("ip", record.resp.host());
    fields.put("port", record.resp.port());
    fields.put("runid", &record.sentinel_id);
    fields.put("flags", flags.join(","));
    fields.put("link-pending-commands", 0);
    fields.put("link-refcount", portrait.state.groups.len());
    fields.put("last-ping-sent", 0);
    fields.put("last-ok-ping-reply", age);
    fields.put("last-ping-reply", age);
    fields.put_some("s-down-time", down.then(|| age.saturating_sub(down_after_ms)));
    fields.put("down-after-milliseconds", down_after_ms);
    fields.put("last-hello-message", age);
    fields.put("voted-leader", "?");
    fields.put("voted-leader-epoch", 0);
    fields
}
