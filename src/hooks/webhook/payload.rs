//! What is posted.

use serde::Serialize;

use crate::base::{LogIndex, WallTime};
use crate::events::{Origin, Spoken};
use crate::hooks::SenderIdentity;
use crate::machine::Group;

/// An event on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The event's name, for the log.
    pub(super) event: &'static str,
    /// The same for all copies of one event, and for no other event.
    pub(super) key: String,
    /// JSON.
    pub(super) body: String,
}

/// The form that receivers rely on: fields may be added, not changed.
#[derive(Serialize)]
struct Body<'a> {
    event: &'a str,
    payload: &'a str,
    level: &'a str,
    group: &'a str,
    /// The epoch of the group's master.
    epoch: u64,
    /// The log entry that made it true; for what one sentinel saw, the last entry it had applied.
    revision: u64,
    /// Whether all sentinels are told of it.
    agreed: bool,
    /// RFC 3339, UTC.
    at: String,
    at_unix_us: u64,
    cluster_id: &'a str,
    sentinel_id: &'a str,
    node_id: u64,
}

impl Payload {
    /// The payload about `spoken`; `applied` and `now` are for what has no place in the log.
    pub(in crate::hooks) fn new(spoken: &Spoken, group: &Group, teller: &SenderIdentity, applied: LogIndex, now: WallTime) -> Self {
        let (revision, at, agreed) = match spoken.origin {
            Origin::Agreed { index, at } => (index, at, true),
            Origin::Local => (applied, now, false),
        };
        let body = Body {
            event: spoken.channel,
            payload: &spoken.payload,
            level: spoken.level.as_str(),
            group: group.name.as_str(),
            epoch: group.epoch.0,
            revision: revision.0,
            agreed,
            at: rfc3339(at),
            at_unix_us: at.0,
            cluster_id: teller.cluster.as_str(),
            sentinel_id: teller.sentinel.as_str(),
            node_id: teller.node.0,
        };
        // One entry may make several events of one name (SENTINEL SET with two options): their texts differ.
        let text = crc32fast::hash(spoken.payload.as_bytes());
        let agreed_key = format!("{}/{revision}/{}/{text:08x}", teller.cluster, spoken.channel);
        let key = if agreed { agreed_key } else { format!("{agreed_key}/node-{}/{}", teller.node, at.0) };
        // Plain texts and numbers always have a JSON form.
        let body = serde_json::to_string(&body).unwrap_or_default();
        Self { event: spoken.channel, key: header_safe(&key), body }
    }
}

fn rfc3339(at: WallTime) -> String {
    let (seconds, micros) = (at.0 / 1_000_000, at.0 % 1_000_000);
    let nanos = i32::try_from(micros * 1000).unwrap_or(0);
    prost_types::Timestamp { seconds: i64::try_from(seconds).unwrap_or(i64::MAX), nanos }.to_string()
}

/// A cluster's id is the operator's to choose; a header is ASCII.
fn header_safe(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_readable() {
        assert_eq!(rfc3339(WallTime(1_700_000_000_123_456)), "2023-11-14T22:13:20.123456Z");
        assert_eq!(header_safe("a b\nü/+set"), "a_b__/+set");
    }
}
