//! What all sentinels agree on: the replicated state machine.
//!
//! A [`Command`] is an entry of the Raft log. [`State::apply`] takes one after the other, in the order
//! of the log, on every sentinel, and returns the [`Outcome`] for its proposer and the [`Event`]s that
//! became true. It reads no clock, opens no socket, throws no dice and logs nothing: moments and choices are
//! in the entries, put there by their proposers.
//!
//! What a sentinel *believes* and *wants* is `judge`; what carries entries between sentinels is `raft`.
//! Called by `raft` (apply, snapshot); read by `judge` and `serve`.
//!
//! In reading order: [`command`] (what may be said), [`state`], [`group`] and [`replica`] (what is known),
//! [`ballot`] (who sees the master down), [`fence`] (what keeps a master from writing alone), [`choice`] (what a decision
//! consists of), [`cause`] (why it began), [`failover`] (the phases and their only writer), [`decision`] (what is remembered of it),
//! [`shadow`] (groups in which nothing of that is carried out),
//! [`removed`] (groups that may be taken up again), [`request`] (who asked for what), [`outcome`] and [`event`] (what came of it), [`invariants`] (what must never be false), [`level`] (which entries a release understands).

pub mod ballot;
pub mod cause;
pub mod choice;
pub mod command;
pub mod decision;
pub mod event;
pub mod failover;
pub mod fence;
mod fit;
pub mod group;
pub mod invariants;
pub mod level;
mod name;
pub mod outcome;
pub mod removed;
pub mod replica;
pub mod request;
pub mod shadow;
pub mod state;

pub use ballot::{Ballot, DownEvidence, DownVote, Evidence, Tally};
pub use cause::{AbortReason, Cause, FailoverMode};
pub use choice::{Candidate, Choice, ChosenFor, FencingProof, Ineligible};
pub use command::Command;
pub use decision::{Decision, Ending};
pub use event::{Event, LoggedEvent};
pub use failover::{Failover, FailoverId, Phase, Stamp};
pub use fence::{ArmedFence, Needed};
pub use fit::fit_reasons;
pub use group::{Group, Identity, MasterRecord};
pub use outcome::{Outcome, Refusal};
pub use removed::{Keep, Removed};
pub use replica::{ReplicaRecord, Retirement, Tenure};
pub use request::{Asked, Asker, Request, Requests};
pub use shadow::{ControlMode, Difference, Incident, ShadowEntry, ShadowEvent, StockWord};
pub use state::{MasterChange, SentinelRecord, State};
