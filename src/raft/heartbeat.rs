//! A leader's heartbeats: calls that say nothing but "I lead", beside the stream of entries.
//!
//! openraft sends its own through that stream, behind entries that wait for two disks. These wait for none: a follower answers them from memory, so
//! a slow disk costs no leadership. They count for nothing but that.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};

use super::core::Core;
use super::types::Vote;
use crate::base::NodeId;

/// One in so many goes through the stream as well, and tells a follower that missed it how far the log is committed.
const THROUGH_THE_STREAM: u32 = 4;

/// The heartbeats that have no answer yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Heartbeats {
    under_way: Arc<Mutex<BTreeSet<NodeId>>>,
    sent: u32,
}

impl Heartbeats {
    /// One to each member, except to those that have yet to answer the last one.
    pub(super) async fn send(&mut self, core: &Arc<Core>) {
        let standing = core.standing();
        if standing.leads && standing.vote.committed && standing.vote.leader_id.node_id == core.me {
            for id in standing.members.into_keys().filter(|id| *id != core.me) {
                self.send_to(core, id, standing.vote);
            }
        }
        self.sent = self.sent.wrapping_add(1);
        if self.sent.is_multiple_of(THROUGH_THE_STREAM) {
            let _ = core.consensus.trigger().heartbeat().await;
        }
    }

    fn send_to(&self, core: &Arc<Core>, to: NodeId, vote: Vote) {
        let under_way = Arc::clone(&self.under_way);
        if !under_way.lock().unwrap_or_else(PoisonError::into_inner).insert(to) {
            return;
        }
        let core = Arc::clone(core);
        core.tasks.clone().spawn(async move {
            let heartbeat = AppendEntriesRequest { vote, prev_log_id: None, entries: Vec::new(), leader_commit: None };
            let link = core.network.link(to);
            let answer = tokio::select! {
                answer = link.append(&heartbeat, core.spans.call_within()) => Some(answer),
                () = core.stop.cancelled() => None,
            };
            under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&to);
            match answer {
                // openraft steps down when it hears of it itself.
                Some(Ok(AppendEntriesResponse::HigherVote(_))) => drop(core.consensus.trigger().heartbeat().await),
                Some(Ok(_)) | None => {}
                Some(Err(problem)) => tracing::debug!(peer = %to, %problem, "no answer to a heartbeat"),
            }
        });
    }
}
