//! This sentinel's vote on the recorded master: cast, or taken back, whenever the log says otherwise than its eyes.

use std::sync::Arc;

use super::down::{DownReport, Verdict};
use super::group_judge::Judge;
use super::intent::ProposalKey;
use crate::base::observation::RoleReport;
use crate::machine::ballot::ReplicaLinkReport;
use crate::machine::{Command, DownEvidence, Evidence};

impl Judge {
    pub(super) fn vote(&mut self, on_master: &Verdict) {
        if !self.world.voting {
            return;
        }
        let group = Arc::clone(&self.world.group);
        let (epoch, voter, at) = (group.epoch, self.me, self.world.wall);
        let standing = group.ballot.votes().get(&voter).map(|vote| vote.testimony.evidence);
        match (on_master, standing) {
            (Verdict::Down(grounds), said) if says_more(grounds.evidence, said) => {
                let testimony = self.testify(*grounds);
                self.propose(ProposalKey::Vote, Command::VoteDown { group: group.name.clone(), epoch, voter, testimony, at });
            }
            // Late is not up: the vote stands until the master has answered, or cannot be judged at all.
            (Verdict::Up | Verdict::CannotJudge, Some(_)) => {
                self.propose(ProposalKey::Vote, Command::VoteUp { group: group.name.clone(), epoch, voter, at });
            }
            (Verdict::Down(_), _) | (Verdict::Late { .. }, Some(_)) | (Verdict::Up | Verdict::Late { .. } | Verdict::CannotJudge, None) => {
            }
        }
    }

    fn testify(&self, grounds: DownReport) -> DownEvidence {
        let DownReport { evidence, for_ms, limit_ms } = grounds;
        let witness = |(addr, node): (&crate::base::Addr, &super::NodeView)| {
            let (_, report) = node.report.as_ref()?;
            match &report.role {
                RoleReport::Replica(replica) => {
                    Some(ReplicaLinkReport { replica: addr.clone(), link_up: replica.link_up, last_io_s: replica.last_io_s })
                }
                RoleReport::Master { .. } => None,
            }
        };
        DownEvidence { evidence, silent_ms: for_ms, limit_ms, replicas: self.view.nodes.iter().filter_map(witness).collect() }
    }
}

/// Whether a vote on this evidence says more than the one that stands: that the port refuses means that the process is gone,
/// which silence does not.
fn says_more(evidence: Evidence, standing: Option<Evidence>) -> bool {
    standing.is_none_or(|standing| evidence == Evidence::Refused && standing != Evidence::Refused)
}
