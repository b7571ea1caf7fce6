//! The replicated log: a Raft group of sentinels (openraft), its peers over gRPC, proposals and linearizable reads.
//!
//! With `store` the only room that knows openraft. It carries commands and does not know what they mean beyond
//! `machine::State::apply`. Called by `agent` and `serve` through [`Raft`]; started by `app`.
//!
//! ```text
//!   node       start, public calls, shutdown          core      what the parts share
//!   ├ propose  into the log, here or via the leader   ├ config  settings and spans of time
//!   ├ read     read index, one round for many         ├ status  how it looks (plain values), error
//!   ├ members  add, promote, remove                   └ types   what openraft is told to work with
//!   ├ handover leadership, to another voter           ◀ survey (what others reach, carried only)
//!   ├ recover  alone, when the quorum is gone for good
//!   ├ announce the record of this sentinel
//!   ├ sealing  secrets, before they are proposed
//!   ├ levels   nothing that a member would not understand
//!   ├ lead     who leads, as far as one may trust it  ◀ acks (who acknowledged us), ear (whom we heard)
//!   ├ guard    heartbeats and campaigns               ◀ campaign (the rules, pure)  ▶ heartbeat
//!   ├ disk     tells when the disk is slow
//!   ├ forming  the birth of a group
//!   ├ vouch    callers that this sentinel does not know yet
//!   └ pulse    who the members are, who is alive      ▶ peers (the book of them)
//!   runtime  tokio, with patience for slow disks
//!   disk_marks  members whose disks went back in time; diverged  whether this one's log is another than theirs
//!   calls, network (out), server, service, beside (in)     ◀ passport (who is who), wire (messages)
//! ```
//!
//! openraft keeps the log safe; three things around it are ours, because its stable line lacks them. *When* to campaign
//! (`election_task`): a pre-vote and timeouts that are drawn anew. *Whether a leader may act* (`lead`): only with a proof by
//! a quorum that was asked for the act; `acks` tells everybody else who leads. *Who is a member's true self* (`peer_identity`).

mod acks;
mod beside;
mod bootstrap;
mod calls;
mod config;
mod core;
mod disk;
mod disk_marks;
mod diverged;
mod election_policy;
mod election_task;
mod error;
mod handover;
mod heartbeat;
mod intake;
mod lead;
mod leader_contact;
mod levels;
mod members;
mod network;
mod node;
mod peer_health;
mod peer_identity;
mod peers;
mod propose;
mod read;
mod recover;
mod runtime;
mod sealing;
mod self_registration;
mod server;
mod service;
mod status;
mod survey;
pub mod types;
mod vouch;
mod wire;

pub use config::{PeerTls, RaftConfig};
pub use error::{MembershipError, ProposeError, ReadError, StartError};
pub use lead::LeaderProof;
pub use node::Raft;
pub use propose::check_readable;
pub use sealing::Resealed;
pub use status::{Committed, Leadership, Left, Member, PeerHealth, RaftStatus, StateCompared};
pub use survey::Survey;
