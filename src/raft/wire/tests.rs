//! The wire as the last release wrote it, and what no sentinel would write.

use std::collections::{BTreeMap, BTreeSet};

use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};
use openraft::{BasicNode, CommittedLeaderId, EntryPayload, Snapshot};
use prost::Message;

use super::*;
use crate::base::{NodeId, WallTime, limits};
use crate::machine::{Command, Outcome};
use crate::proto::peer;
use crate::raft::types::{Entry, LogId, Membership, SnapshotMeta, TypeConfig, Vote};

type Request = AppendEntriesRequest<TypeConfig>;

fn at(term: u64, index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(term, NodeId(1)), index)
}

fn envelope() -> peer::Envelope {
    peer::Envelope { cluster_id: "c".into(), from: 1, from_incarnation: "i".into(), to: 2, to_incarnation: "j".into(), from_disk: None }
}

fn members() -> openraft::Membership<NodeId, BasicNode> {
    let nodes: BTreeMap<NodeId, BasicNode> = (1..=3).map(|n| (NodeId(n), BasicNode::new(format!("10.0.0.{n}:7000")))).collect();
    openraft::Membership::new(vec![BTreeSet::from([NodeId(1), NodeId(2)])], nodes)
}

fn command() -> Command {
    Command::VotesExpired { voter: NodeId(2), silent_ms: 5000, at: WallTime(7) }
}

fn request() -> Request {
    Request {
        vote: Vote::new_committed(3, NodeId(1)),
        prev_log_id: Some(at(2, 6)),
        entries: vec![
            Entry { log_id: at(2, 7), payload: EntryPayload::Membership(members()) },
            Entry { log_id: at(3, 8), payload: EntryPayload::Blank },
            Entry { log_id: at(3, 9), payload: EntryPayload::Normal(command()) },
        ],
        leader_commit: Some(at(2, 7)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2).unwrap_or_default(), 16);
    (0..digits.len()).step_by(2).map(|at| byte(at).expect("golden bytes are hexadecimal")).collect()
}

/// An AppendEntries call as release 0.1.0 writes it.
const APPEND_0_1: &str = "
    0a0d0a016310011a016920022a016a12060803100118011a0608021001180622490a06080210011807223f0a040a0201
    0212110801120d31302e302e302e313a3730303012110802120d31302e302e302e323a3730303012110803120d31302e
    302e302e333a37303030220a0a06080310011808120022430a060803100118091a39080112357b22766f7465732d6578
    7069726564223a7b22766f746572223a322c2273696c656e745f6d73223a353030302c226174223a377d7d2a06080210
    011807
";

#[test]
fn a_call_of_release_0_1_can_be_read_and_is_still_written_so() {
    let written = append_to_wire(envelope(), &request()).encode_to_vec();
    assert_eq!(hex(&written), APPEND_0_1.split_whitespace().collect::<String>());
    let read = peer::AppendRequest::decode(unhex(APPEND_0_1).as_slice()).map(append_from_wire);
    let read = read.expect("golden bytes decode").expect("and are well-formed");
    assert_eq!(format!("{read:?}"), format!("{:?}", request()));
}

#[test]
fn entries_that_do_not_follow_one_another_are_malformed() {
    let spoil: [fn(&mut Request); 5] = [
        |call| call.entries[2].log_id = at(3, 10),
        |call| call.entries[2].log_id = at(1, 9),
        |call| call.entries[2].log_id = at(4, 9),
        |call| call.prev_log_id = None,
        |call| call.vote.committed = false,
    ];
    for (n, spoil) in spoil.into_iter().enumerate() {
        let mut spoiled = request();
        spoil(&mut spoiled);
        assert!(append_from_wire(append_to_wire(envelope(), &spoiled)).is_err(), "case {n} was accepted");
    }
    assert!(append_from_wire(peer::AppendRequest::default()).is_err(), "an empty call was accepted");
}

#[test]
fn a_command_of_a_later_form_is_refused_with_advice() {
    let mut document = command_to_wire(&command());
    assert_eq!(command_from_wire(Some(document.clone())), Ok(command()));
    document.format = 2;
    assert!(command_from_wire(Some(document)).is_err_and(|Malformed(why)| why.contains("install the newer release")));
    let huge = peer::Command { format: 1, body: vec![b' '; limits::COMMAND_BYTES + 1] };
    assert!(command_from_wire(Some(huge)).is_err());
    let nonsense = peer::Outcome { format: 1, body: b"{".to_vec() };
    assert!(outcome_from_wire(Some(nonsense)).is_err());
    assert_eq!(outcome_from_wire(Some(outcome_to_wire(&Outcome::Unchanged))), Ok(Outcome::Unchanged));
}

#[test]
fn a_membership_without_voters_or_with_strangers_is_malformed() {
    assert_eq!(membership_from_wire(membership_to_wire(&members())), Ok(members()));
    let spoil: [fn(&mut peer::Membership); 4] = [
        |membership| membership.configs.clear(),
        |membership| membership.configs[0].ids.clear(),
        |membership| membership.configs[0].ids.push(9),
        |membership| membership.nodes[0].addr = "nowhere".to_owned(),
    ];
    for spoil in spoil {
        let mut spoiled = membership_to_wire(&members());
        spoil(&mut spoiled);
        assert!(membership_from_wire(spoiled).is_err());
    }
}

#[test]
fn an_answer_that_cannot_be_one_is_malformed() {
    let asked = Asked::of(&request());
    let reply = |response: AppendEntriesResponse<NodeId>| append_reply_to_wire(peer::Responder::default(), &response);
    assert_eq!(append_reply_from_wire(reply(AppendEntriesResponse::Success), &asked), Ok(AppendEntriesResponse::Success));
    let higher = AppendEntriesResponse::HigherVote(Vote::new(4, NodeId(2)));
    assert!(append_reply_from_wire(reply(higher), &asked).is_ok());
    let lower = AppendEntriesResponse::HigherVote(Vote::new(2, NodeId(2)));
    assert!(append_reply_from_wire(reply(lower), &asked).is_err());
    let beyond = AppendEntriesResponse::PartialSuccess(Some(at(3, 10)));
    assert!(append_reply_from_wire(reply(beyond), &asked).is_err());
    let first = Request { prev_log_id: None, entries: Vec::new(), ..request() };
    assert!(append_reply_from_wire(reply(AppendEntriesResponse::Conflict), &Asked::of(&first)).is_err());
}

fn snapshot(bytes: usize) -> Snapshot<TypeConfig> {
    let meta = SnapshotMeta {
        last_log_id: Some(at(2, 9)),
        last_membership: Membership::new(Some(at(2, 7)), members()),
        snapshot_id: "s".to_owned(),
    };
    Snapshot { meta, snapshot: Box::new((0..bytes).map(|n| n as u8).collect()) }
}

fn received(chunks: impl Iterator<Item = peer::SnapshotChunk>) -> Result<(Vote, Snapshot<TypeConfig>), Malformed> {
    let mut intake: Option<SnapshotIntake> = None;
    for chunk in chunks {
        match (&mut intake, chunk.part) {
            (None, Some(peer::snapshot_chunk::Part::Header(header))) => intake = Some(SnapshotIntake::new(header)?),
            (Some(intake), part) => intake.take(peer::SnapshotChunk { part })?,
            (None, _) => return Err(Malformed("no header".to_owned())),
        }
    }
    required(intake, "the header")?.finish()
}

#[test]
fn a_snapshot_arrives_whole_or_not_at_all() {
    let vote = Vote::new_committed(3, NodeId(1));
    for bytes in [0, 1, limits::SNAPSHOT_CHUNK_BYTES, 2 * limits::SNAPSHOT_CHUNK_BYTES + 17] {
        let (of, whole) = received(chunks_of(envelope(), &vote, snapshot(bytes))).expect("it is well-formed");
        assert_eq!((of, whole.meta, whole.snapshot), (vote, snapshot(bytes).meta, snapshot(bytes).snapshot));
    }
    let chunks = || chunks_of(envelope(), &vote, snapshot(3 * limits::SNAPSHOT_CHUNK_BYTES));
    assert!(received(chunks().take(3)).is_err(), "cut short");
    assert!(received(chunks().chain(chunks().skip(1).take(1))).is_err(), "too long");
    let damaged = chunks().map(|mut chunk| {
        if let Some(peer::snapshot_chunk::Part::Data(data)) = &mut chunk.part {
            data[0] ^= 1;
        }
        chunk
    });
    assert!(received(damaged).is_err(), "damaged");
}

#[test]
fn a_snapshot_beyond_the_limit_is_refused_before_it_is_received() {
    let vote = Vote::new_committed(3, NodeId(1));
    let header = chunks_of(envelope(), &vote, snapshot(1)).next().and_then(|chunk| chunk.part);
    let Some(peer::snapshot_chunk::Part::Header(mut header)) = header else { panic!("the first chunk is the header") };
    header.bytes = limits::SNAPSHOT_BYTES as u64 + 1;
    assert!(SnapshotIntake::new(header).is_err());
}
