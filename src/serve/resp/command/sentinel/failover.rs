//! SENTINEL FAILOVER: stock's command, and what an operator may add to it.
//!
//! `SENTINEL FAILOVER <name> [COORDINATED | FORCE] [TO <ip> <port>]`. COORDINATED is Valkey's word for a planned change.

use bytes::Bytes;

use super::super::super::client::Client;
use super::super::super::instance::names;
use super::super::super::number::integer;
use super::super::super::reply::{Answer, Reply};
use super::change::{refused, settled};
use super::{argument, group};
use crate::base::Addr;
use crate::judge::GroupView;
use crate::machine::{Command, FailoverMode, Group, Ineligible, Outcome, Refusal};

pub(super) async fn failover(client: &mut Client, words: &[Bytes]) -> Answer {
    let mut wish = Wish::parse(&words[3..])?;
    let state = client.confirmed().await?;
    let group = group(&state, argument(words))?;
    let context = client.context();
    // By force it is also made to go on.
    if let Some(running) = &group.failover
        && !(wish.manner == FailoverMode::Force && running.phase.is_undecided())
    {
        return Err(refused(&Refusal::FailoverInProgress));
    }
    let view = context.board.group(&group.name).unwrap_or_default();
    wish.target = wish.target.map(|target| names(context, &state, &view).recorded(group, &target));
    if group.failover.is_none() && !wish.has_candidates(group, &view) {
        return Err(Reply::error("NOGOODSLAVE No suitable replica to promote"));
    }
    let Wish { manner, target } = wish;
    let (name, epoch) = (group.name.clone(), group.epoch);
    let (by, at) = (context.agreement.id(), context.clock.wall());
    let command = Command::FailoverRequested { group: name, epoch, by, manner, target, at, asked: None };
    match client.propose(command).await? {
        // Another failover was quicker.
        Outcome::Refused(Refusal::StaleEpoch { .. }) => Err(refused(&Refusal::FailoverInProgress)),
        outcome => settled(outcome),
    }
}

/// What is asked for.
struct Wish {
    manner: FailoverMode,
    target: Option<Addr>,
}

impl Wish {
    /// Reads what follows the name.
    fn parse(words: &[Bytes]) -> Result<Self, Reply> {
        let syntax = || Reply::error("ERR syntax error");
        let (manner, rest) = match words {
            [first, rest @ ..] if first.eq_ignore_ascii_case(b"coordinated") => (FailoverMode::Coordinated, rest),
            [first, rest @ ..] if first.eq_ignore_ascii_case(b"force") => (FailoverMode::Force, rest),
            rest => (FailoverMode::Plain, rest),
        };
        match (manner, rest) {
            (_, []) => Ok(Self { manner, target: None }),
            (FailoverMode::Force, [to, ..]) if to.eq_ignore_ascii_case(b"to") => {
                Err(Reply::error("ERR FORCE promotes the replica that lacks least: it takes no TO"))
            }
            (FailoverMode::Plain | FailoverMode::Coordinated, [to, host, port]) if to.eq_ignore_ascii_case(b"to") => {
                let port = integer(port).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
                let port = port.ok_or_else(|| Reply::error("ERR Invalid port"))?;
                // To name the next master is to plan the change.
                let target = Addr::new(String::from_utf8_lossy(host), port).map_err(|_| super::change::bad_host())?;
                Ok(Self { manner: FailoverMode::Coordinated, target: Some(target) })
            }
            _ => Err(syntax()),
        }
    }

    /// Whether anybody could be promoted, as this sentinel sees it.
    ///
    /// The candidates of the view are by the rules of `available`. Where the replicas are taken from the master first, another
    /// look decides, and what a look can only tell of the moment is no reason to refuse.
    fn has_candidates(&self, group: &Group, view: &GroupView) -> bool {
        let planned = match self.manner {
            FailoverMode::Coordinated => true,
            FailoverMode::Plain => group.is_strict(),
            FailoverMode::Force => false,
        };
        let of_interest = |addr: &Addr| self.target.as_ref().is_none_or(|target| target == addr || !group.replicas.contains_key(target));
        let mut candidates = view.candidates.iter().filter(|candidate| of_interest(&candidate.addr));
        candidates.any(|candidate| match &candidate.ineligible {
            None => true,
            Some(reason) => planned && may_pass(reason),
        })
    }
}

/// Whether it may stand in the way of a promotion as stock makes it and not of a planned change, or be over in a moment.
const fn may_pass(reason: &Ineligible) -> bool {
    match reason {
        Ineligible::Down
        | Ineligible::Credentials
        | Ineligible::PriorityZero
        | Ineligible::NotAReplica
        | Ineligible::Loading
        | Ineligible::Syncing
        | Ineligible::TakesNoOrders { .. }
        | Ineligible::NoHistory
        | Ineligible::NeverSynced => false,
        Ineligible::NoReport
        | Ineligible::ForeignHistory { .. }
        | Ineligible::OutOfSync { .. }
        | Ineligible::Restarted
        | Ineligible::NeverInSync
        | Ineligible::NotCounted
        | Ineligible::NotNamed
        | Ineligible::ImpossibleOffset { .. }
        | Ineligible::PlaceLost
        | Ineligible::Attached
        | Ineligible::TooFew { .. }
        | Ineligible::Behind { .. }
        | Ineligible::Unarmable { .. }
        | Ineligible::NotFenced
        | Ineligible::StockWatches
        | Ineligible::OwnFileSaysShadow
        | Ineligible::StaleData { .. } => true,
    }
}
