//! What this sentinel believes of one group, and what it wants done about it.
//!
//! Pure, like `machine`: the moment is an argument, effects are values. A [`Judge`] takes one [`Input`] after the
//! other, with the [`World`] as it is at that moment, and returns [`Intent`]s. Everything it wants follows
//! from the agreed state and from what was seen, at every step anew; nothing is remembered but
//! what is under way. So a new leader, a restarted one and one that missed something all do the same.
//!
//! Every sentinel believes and votes; only the leader wants changes. Driven by `agent`; its [`view`] is read by `serve`.
//!
//! In reading order: [`view`] and `observe` (what was seen of a node), [`down`] (when a node is down), `vote`,
//! [`candidate`] and `intact` (whom to promote), `promotion` (the steps of a failover; of a strict one
//! `fenced_failover`, `table` (its candidates), `fencing_proof` (whether the old master can write no more) and `catch_up`, of a planned one `switchover`, `announce` and `cut_again`; `attempt` is what is remembered of it), `fence` (kept in force meanwhile) and `fence_problem` (what is wrong with it), `tenure` (which replicas count), `loss` (a master without its data), `repair` (everything that is not as recorded), `branch` and `by_hand` (roles that an operator changed), `foreign` (servers that are not the group's), `moved` (a master at another address), `stand_in` (another server at the master's address), `rights` (orders, and who would refuse them), `script` (what keeps a node from answering), `looks` (how often a node is looked at), `readiness` (what would come of the loss of the master), `removal` (what a group's removal would leave behind), `alarm` (when operators are told),
//! `shadow` (where nothing is carried out), [`reach`] (who should lead),
//! [`group_judge`] (the step that calls them), [`intent`] and [`pending`].

mod alarm;
mod announce;
mod attempt;
mod branch;
mod by_hand;
pub mod candidate;
mod catch_up;
mod cut_again;
pub mod down;
mod fence;
mod fence_problem;
mod fenced_failover;
mod fencing_proof;
mod foreign;
pub mod group_judge;
mod intact;
pub mod intent;
mod looks;
mod loss;
mod moved;
mod observe;
pub mod pending;
mod promotion;
pub mod reach;
mod readiness;
mod removal;
mod repair;
mod rights;
mod script;
mod shadow;
mod stand_in;
mod switchover;
mod table;
mod tenure;
pub mod view;
mod vote;

pub use group_judge::{Input, Judge, World};
pub use intent::{Ask, Intent, LocalEvent, Permit, ProposalKey};
pub use removal::RemovalStep;
pub use view::{GroupView, HeldBack, Link, NodeView, Outlook, Owner, Readiness};
