//! A snapshot as a stream of chunks.

use openraft::Snapshot;

use super::{
    Malformed, log_id_from_wire, log_id_to_wire, membership_from_wire, membership_to_wire, required, vote_from_wire, vote_to_wire,
};
use crate::base::limits;
use crate::proto::peer;
use crate::proto::peer::snapshot_chunk::Part;
use crate::raft::types::{Membership, SnapshotMeta, TypeConfig, Vote};

/// The chunks that carry a snapshot, the header first. They are cut when asked for, so that no second copy exists.
pub(in crate::raft) fn chunks_of(
    envelope: peer::Envelope,
    vote: &Vote,
    snapshot: Snapshot<TypeConfig>,
) -> impl Iterator<Item = peer::SnapshotChunk> + Send + 'static {
    let Snapshot { meta, snapshot: data } = snapshot;
    let header = peer::SnapshotHeader {
        envelope: Some(envelope),
        vote: Some(vote_to_wire(vote)),
        last_log: meta.last_log_id.as_ref().map(log_id_to_wire),
        membership_log: meta.last_membership.log_id().as_ref().map(log_id_to_wire),
        membership: Some(membership_to_wire(meta.last_membership.membership())),
        snapshot_id: meta.snapshot_id,
        bytes: data.len() as u64,
        crc32: crc32fast::hash(&data),
    };
    let mut sent = 0;
    let rest = std::iter::from_fn(move || {
        let piece = data.get(sent..)?.get(..limits::SNAPSHOT_CHUNK_BYTES.min(data.len() - sent)).filter(|piece| !piece.is_empty())?;
        sent += piece.len();
        Some(peer::SnapshotChunk { part: Some(Part::Data(piece.to_vec())) })
    });
    std::iter::once(peer::SnapshotChunk { part: Some(Part::Header(header)) }).chain(rest)
}

/// Puts a snapshot together again. What it holds never exceeds what the header announced, nor the limit.
pub(in crate::raft) struct SnapshotIntake {
    /// The leader's vote.
    pub(in crate::raft) vote: Vote,
    /// What it covers.
    pub(in crate::raft) meta: SnapshotMeta,
    bytes: usize,
    crc32: u32,
    data: Vec<u8>,
}

impl SnapshotIntake {
    /// From the header.
    pub(in crate::raft) fn new(header: peer::SnapshotHeader) -> Result<Self, Malformed> {
        let bytes = usize::try_from(header.bytes).unwrap_or(usize::MAX);
        if bytes > limits::SNAPSHOT_BYTES {
            return Err(Malformed(format!("a snapshot of {bytes} bytes, {} are allowed", limits::SNAPSHOT_BYTES)));
        }
        let membership = membership_from_wire(required(header.membership, "the snapshot's membership")?)?;
        let meta = SnapshotMeta {
            last_log_id: header.last_log.map(log_id_from_wire),
            last_membership: Membership::new(header.membership_log.map(log_id_from_wire), membership),
            snapshot_id: header.snapshot_id,
        };
        let vote = vote_from_wire(header.vote)?;
        if !vote.committed {
            return Err(Malformed("a snapshot from a candidate that was not elected".to_owned()));
        }
        Ok(Self { vote, meta, bytes, crc32: header.crc32, data: Vec::new() })
    }

    /// Takes the next chunk.
    pub(in crate::raft) fn take(&mut self, chunk: peer::SnapshotChunk) -> Result<(), Malformed> {
        let piece = match required(chunk.part, "a snapshot chunk's content")? {
            Part::Data(piece) => piece,
            Part::Header(_) => return Err(Malformed("a second header in one snapshot".to_owned())),
        };
        if piece.len() > limits::SNAPSHOT_CHUNK_BYTES || self.data.len() + piece.len() > self.bytes {
            return Err(Malformed("more snapshot bytes than were announced".to_owned()));
        }
        self.data.extend_from_slice(&piece);
        Ok(())
    }

    /// The snapshot, once all of it is here.
    pub(in crate::raft) fn finish(self) -> Result<(Vote, Snapshot<TypeConfig>), Malformed> {
        if self.data.len() != self.bytes || crc32fast::hash(&self.data) != self.crc32 {
            return Err(Malformed(format!("a snapshot of {} bytes arrived damaged or cut short ({} bytes)", self.bytes, self.data.len())));
        }
        Ok((self.vote, Snapshot { meta: self.meta, snapshot: Box::new(self.data) }))
    }
}
