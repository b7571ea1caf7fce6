//! The clients' service: one method for each question.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::convert::{decisions, masters, members, nodes, shadow};
use super::guard::Permit;
use super::watch::{Watch, WatchOpening};
use super::{Context, guard, refuse};
use crate::base::{GroupName, LogIndex};
use crate::machine::{Group, State};
use crate::proto::sentinel as pb;
use crate::proto::sentinel::sentinel_server::Sentinel;
use crate::serve::hold::{self, Asked};

/// Decisions in one answer, when the client does not say.
const DECISIONS: usize = 20;
/// Decisions in one answer, at most: with the largest tables they still fit the 4 MiB that clients accept by default.
const DECISIONS_MAX: usize = 128;

pub(super) struct Service {
    pub(super) ctx: Context,
    pub(super) cancel: CancellationToken,
}

/// A state to answer from, and how it was obtained.
struct FencingProof {
    state: Arc<State>,
    answer: pb::Answer,
}

impl Service {
    async fn basis(&self, consistency: i32) -> Result<FencingProof, Status> {
        let stale = is_stale(consistency)?;
        let agreement = &self.ctx.agreement;
        let state = if stale { agreement.state() } else { agreement.linearizable().await.map_err(|error| refuse::read(&error))? };
        let answer = pb::Answer { applied_index: state.applied.0, stale, answered_by: agreement.id().0 };
        Ok(FencingProof { state, answer })
    }

    /// The same for a question about the masters of these groups, which waits for the end of a planned change.
    async fn announced(&self, consistency: i32, asked: &Asked) -> Result<FencingProof, Status> {
        let basis = self.basis(consistency).await?;
        if basis.answer.stale {
            return Ok(basis);
        }
        let state = hold::until_announced(&*self.ctx.agreement, basis.state, asked).await;
        let answer = pb::Answer { applied_index: state.applied.0, ..basis.answer };
        Ok(FencingProof { state, answer })
    }

    fn nodes(&self, group: &Group) -> nodes::Eyes {
        let board = &self.ctx.board;
        nodes::Eyes { view: board.group(&group.name), neighbours: board.neighbours(&group.name), now: self.ctx.clock.mono() }
    }

    fn master(&self, group: &Group) -> pb::Master {
        masters::master(group, self.ctx.board.group(&group.name).as_deref())
    }

    fn group_view(&self, group: &Group) -> pb::GroupView {
        let eyes = self.nodes(group);
        pb::GroupView {
            group: group.name.to_string(),
            nodes: group.data_nodes().map(|addr| eyes.node(group, addr)).collect(),
            master: Some(self.master(group)),
            fence_alarm: eyes.view.as_ref().and_then(|view| view.fence_alarm.clone()).unwrap_or_default(),
            readiness_alarm: eyes.view.as_ref().and_then(|view| view.readiness_alarm.clone()).unwrap_or_default(),
            foreign_sentinels: members::foreign(&self.ctx.board, &group.name, eyes.now),
            held_back: eyes.view.as_ref().and_then(|view| view.held_back()).map_or_else(String::new, ToString::to_string),
            secret_keys: group.settings.secret_keys().map(|key| key.unwrap_or("clear").to_owned()).collect(),
        }
    }
}

#[tonic::async_trait]
impl Sentinel for Service {
    async fn get_master(&self, request: Request<pb::GetMasterRequest>) -> Result<Response<pb::GetMasterResponse>, Status> {
        let request = request.into_inner();
        let FencingProof { state, answer } = self.announced(request.consistency, &Asked::named(request.group.as_bytes())).await?;
        let master = self.master(find(&state, &request.group)?);
        Ok(Response::new(pb::GetMasterResponse { master: Some(master), answer: Some(answer) }))
    }

    async fn list_masters(&self, request: Request<pb::ListMastersRequest>) -> Result<Response<pb::ListMastersResponse>, Status> {
        let FencingProof { state, answer } = self.announced(request.into_inner().consistency, &Asked::All).await?;
        let masters = state.groups.values().map(|group| self.master(group)).collect();
        Ok(Response::new(pb::ListMastersResponse { masters, answer: Some(answer) }))
    }

    async fn list_replicas(&self, request: Request<pb::ListReplicasRequest>) -> Result<Response<pb::ListReplicasResponse>, Status> {
        let request = request.into_inner();
        let FencingProof { state, answer } = self.basis(request.consistency).await?;
        let group = find(&state, &request.group)?;
        let eyes = self.nodes(group);
        let replicas = group.replicas.keys().map(|addr| eyes.node(group, addr)).collect();
        Ok(Response::new(pb::ListReplicasResponse { master: Some(self.master(group)), replicas, answer: Some(answer) }))
    }

    type WatchMastersStream = Pin<Box<dyn Stream<Item = Result<pb::WatchMastersResponse, Status>> + Send>>;

    async fn watch_masters(&self, request: Request<pb::WatchMastersRequest>) -> Result<Response<Self::WatchMastersStream>, Status> {
        let permit = request.extensions().get().cloned();
        let request = request.into_inner();
        // Listen first, look second: nothing that happens in between is lost.
        let states = self.ctx.agreement.states();
        let FencingProof { state, answer } = self.basis(request.consistency).await?;
        let opening = match request.after_revision {
            Some(revision) => WatchOpening::Resumed(LogIndex(revision)),
            None => {
                request.groups.iter().try_for_each(|name| find(&state, name).map(drop))?;
                WatchOpening::Snapshot { stale: answer.stale }
            }
        };
        let groups = request.groups.into_iter().collect();
        let revoked = Box::pin(guard::revoked(permit));
        let watch = Watch::open(&self.ctx, self.cancel.clone(), groups, states, state, opening, answer.stale)?.until(revoked);
        Ok(Response::new(Box::pin(watch.into_stream())))
    }

    async fn list_decisions(&self, request: Request<pb::ListDecisionsRequest>) -> Result<Response<pb::ListDecisionsResponse>, Status> {
        let with_askers = request.extensions().get::<Permit>().is_some_and(Permit::shows_askers);
        let request = request.into_inner();
        let FencingProof { state, answer } = self.basis(request.consistency).await?;
        let limit = match usize::try_from(request.limit).unwrap_or(DECISIONS_MAX) {
            0 => DECISIONS,
            asked => asked.min(DECISIONS_MAX),
        };
        let found = if request.group.is_empty() {
            decisions::newest(state.groups.values(), limit, with_askers)
        } else {
            decisions::newest(std::iter::once(find(&state, &request.group)?), limit, with_askers)
        };
        Ok(Response::new(pb::ListDecisionsResponse { decisions: found, answer: Some(answer) }))
    }

    async fn shadow_report(&self, request: Request<pb::ShadowReportRequest>) -> Result<Response<pb::ShadowReportResponse>, Status> {
        let request = request.into_inner();
        let FencingProof { state, answer } = self.basis(request.consistency).await?;
        let groups = if request.group.is_empty() {
            let shown = |group: &&Arc<Group>| group.in_shadow() || !group.incidents.is_empty();
            state.groups.values().filter(shown).map(|group| shadow::group(self.master(group), group)).collect()
        } else {
            {
                let group = find(&state, &request.group)?;
                vec![shadow::group(self.master(group), group)]
            }
        };
        Ok(Response::new(pb::ShadowReportResponse { groups, answer: Some(answer) }))
    }

    async fn status(&self, request: Request<pb::StatusRequest>) -> Result<Response<pb::StatusResponse>, Status> {
        let wanted = request.into_inner().groups;
        let agreement = &self.ctx.agreement;
        let (raft, state) = (agreement.status(), agreement.state());
        let groups = if wanted.is_empty() {
            state.groups.values().map(|group| self.group_view(group)).collect()
        } else {
            wanted.iter().map(|name| find(&state, name).map(|group| self.group_view(group))).collect::<Result<_, _>>()?
        };
        let members = members::public(&raft, &state, &agreement.peers(), self.ctx.clock.mono());
        Ok(Response::new(pb::StatusResponse {
            cluster_id: raft.cluster.to_string(),
            node_id: raft.id.0,
            sentinel_id: agreement.sentinel_id().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            term: raft.term,
            leader_id: raft.leader.map(|leader| leader.0),
            last_log_index: raft.last_log.0,
            applied_index: raft.applied.0,
            snapshot_index: raft.snapshot.map(|index| index.0),
            quorum_ack_age_ms: raft.quorum_ack_age_ms,
            members,
            groups,
            insecure_peers: raft.insecure,
            sync_us: raft.sync_us,
        }))
    }
}

fn is_stale(consistency: i32) -> Result<bool, Status> {
    match pb::Consistency::try_from(consistency) {
        Ok(pb::Consistency::Linearizable) => Ok(false),
        Ok(pb::Consistency::Stale) => Ok(true),
        Err(_) => Err(Status::invalid_argument(format!("consistency {consistency} is not known; use LINEARIZABLE (0) or STALE (1)"))),
    }
}

fn find<'a>(state: &'a State, name: &str) -> Result<&'a Arc<Group>, Status> {
    if name.is_empty() {
        return Err(Status::invalid_argument("the request names no group"));
    }
    let known = GroupName::new(name).ok().and_then(|name| state.groups.get(&name));
    known.ok_or_else(|| refuse::no_such_group(name))
}
