//! One entry of the log.

use openraft::EntryPayload;

use super::{
    Malformed, command_from_wire, command_to_wire, log_id_from_wire, log_id_to_wire, membership_from_wire, membership_to_wire, required,
};
use crate::proto::peer;
use crate::proto::peer::entry::Payload;
use crate::raft::types::Entry;

pub(super) fn entry_to_wire(entry: &Entry) -> peer::Entry {
    let payload = match &entry.payload {
        EntryPayload::Blank => Payload::Blank(peer::Blank {}),
        EntryPayload::Normal(command) => Payload::Command(command_to_wire(command)),
        EntryPayload::Membership(membership) => Payload::Membership(membership_to_wire(membership)),
    };
    peer::Entry { id: Some(log_id_to_wire(&entry.log_id)), payload: Some(payload) }
}

pub(super) fn entry_from_wire(entry: peer::Entry) -> Result<Entry, Malformed> {
    let log_id = log_id_from_wire(required(entry.id, "an entry's place")?);
    let payload = match required(entry.payload, "an entry's payload")? {
        Payload::Blank(peer::Blank {}) => EntryPayload::Blank,
        Payload::Command(command) => EntryPayload::Normal(command_from_wire(Some(command))?),
        Payload::Membership(membership) => EntryPayload::Membership(membership_from_wire(membership)?),
    };
    Ok(Entry { log_id, payload })
}
