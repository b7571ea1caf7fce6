//! Failovers that operators ask for: what is asked, and what came of it.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tonic::{Response, Status};

use super::admin::asked_by;
use super::convert::options;
use super::{Context, refuse};
use crate::base::{Addr, Epoch, GroupName};
use crate::machine::{Asker, Command, Decision, Ending, FailoverId, FailoverMode, State};
use crate::proto::admin as pb;
use crate::proto::admin::switchover_response::Outcome;

/// How long a switchover is waited for, when the caller does not say.
const WAIT_MS: u32 = 20_000;
/// How long it is waited for at most.
const WAIT_MAX_MS: u32 = 60_000;

/// A failover as an operator asked for it.
struct FailoverWish {
    group: GroupName,
    epoch: Option<u64>,
    manner: FailoverMode,
    target: Option<Addr>,
}

/// Starts a failover, or forces one that is under way.
pub(super) async fn request(
    ctx: &Context,
    asker: Option<Asker>,
    request: pb::RequestFailoverRequest,
) -> Result<Response<pb::RequestFailoverResponse>, Status> {
    let target = request.target.map(|target| options::addr("target", Some(target))).transpose()?;
    let manner = manner(request.manner, request.accept_loss, target.as_ref())?;
    let wish = FailoverWish { group: options::group_name(&request.group)?, epoch: request.epoch, manner, target };
    let id = propose(ctx, wish, asker).await?;
    Ok(Response::new(pb::RequestFailoverResponse { revision: id.started.0, epoch: id.epoch.0 }))
}

/// Starts a planned change, and waits for what comes of it.
pub(super) async fn switchover(
    ctx: &Context,
    asker: Option<Asker>,
    request: pb::SwitchoverRequest,
) -> Result<Response<pb::SwitchoverResponse>, Status> {
    let wait_ms = match request.wait_ms {
        0 => WAIT_MS,
        asked => asked.min(WAIT_MAX_MS),
    };
    let deadline = Instant::now() + Duration::from_millis(wait_ms.into());
    let target = request.target.map(|target| options::addr("target", Some(target))).transpose()?;
    let group = options::group_name(&request.group)?;
    // Listen first, ask second: however quick it is, its end is not missed.
    let mut states = ctx.agreement.states();
    let id =
        propose(ctx, FailoverWish { group: group.clone(), epoch: request.epoch, manner: FailoverMode::Coordinated, target }, asker).await?;
    let settled = states.wait_for(|state| outcome(state, &group, id).is_some());
    // An error means that this sentinel stops, or that the wait is over: what is known by then is the answer.
    let _ = timeout_at(deadline, settled).await;
    let state = ctx.agreement.state();
    let (outcome, reason) = outcome(&state, &group, id).unwrap_or((Outcome::UnderWay, ""));
    let master = state.groups.get(&group).map(|group| &group.master.addr);
    Ok(Response::new(pb::SwitchoverResponse {
        revision: id.started.0,
        epoch: id.epoch.0,
        outcome: outcome.into(),
        reason: reason.to_owned(),
        master: master.map(|addr| pb::Address { host: addr.host().to_owned(), port: addr.port().into() }),
    }))
}

/// Commits the request; the attempt that it began. That of a failover that was forced on the way is its own.
async fn propose(ctx: &Context, wish: FailoverWish, asker: Option<Asker>) -> Result<FailoverId, Status> {
    let FailoverWish { group, epoch, manner, target } = wish;
    let epoch = match epoch {
        Some(epoch) => Epoch(epoch),
        None => current_epoch(ctx, &group).await?,
    };
    let (by, at) = (ctx.agreement.id(), ctx.clock.wall());
    let command = Command::FailoverRequested { group, epoch, by, manner, target, at, asked: None };
    let committed = ctx.agreement.propose(asked_by(command, asker)).await.map_err(|error| refuse::propose(&error))?;
    let (index, _) = refuse::committed(&committed)?;
    Ok(FailoverId { epoch: epoch.next(), started: index })
}

/// The epoch of the master that a failover is to replace.
async fn current_epoch(ctx: &Context, group: &GroupName) -> Result<Epoch, Status> {
    let state = ctx.agreement.linearizable().await.map_err(|error| refuse::read(&error))?;
    state.groups.get(group).map(|group| group.epoch).ok_or_else(|| refuse::no_such_group(group.as_str()))
}

/// A loss is accepted in so many words, or there is none.
fn manner(asked: i32, accept_loss: bool, target: Option<&Addr>) -> Result<FailoverMode, Status> {
    let asked = pb::FailoverManner::try_from(asked)
        .map_err(|_| Status::invalid_argument(format!("manner {asked} is not known; use PLAIN (1), COORDINATED (2) or FORCE (3)")))?;
    match (asked, accept_loss, target) {
        (pb::FailoverManner::Force, false, _) => Err(Status::invalid_argument(
            "force may lose confirmed writes, and the old master may take writes beside the new one: say accept_loss to accept that",
        )),
        (pb::FailoverManner::Force, true, Some(_)) => {
            Err(Status::invalid_argument("force promotes the replica that lacks least: it takes no target"))
        }
        (pb::FailoverManner::Force, true, None) => Ok(FailoverMode::Force),
        (_, true, _) => {
            Err(Status::invalid_argument("accept_loss is for force only: a plain or coordinated failover is not made riskier by it"))
        }
        // To name the next master is to plan the change.
        (pb::FailoverManner::Coordinated, false, _) | (_, false, Some(_)) => Ok(FailoverMode::Coordinated),
        (pb::FailoverManner::Unspecified | pb::FailoverManner::Plain, false, None) => Ok(FailoverMode::Plain),
    }
}

/// What came of an attempt, and why if it was given up; none while it is under way.
fn outcome(state: &State, group: &GroupName, id: FailoverId) -> Option<(Outcome, &'static str)> {
    let group = state.groups.get(group)?;
    let decision: &Decision = group.history.iter().rev().find(|decision| decision.id == id)?;
    match (&decision.ended, decision.promoted) {
        (Some((_, Ending::Aborted(reason))), _) => Some((Outcome::Aborted, reason.as_str())),
        (_, Some(_)) | (Some((_, Ending::Completed { .. })), None) => Some((Outcome::Switched, "")),
        (Some((_, Ending::Superseded)), None) => Some((Outcome::Superseded, "")),
        (None, None) => None,
    }
}
