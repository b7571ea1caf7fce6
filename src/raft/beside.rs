//! What peers ask beside Raft: who is alive, who is a member, who sees which servers, and who should lead.

use tonic::Status;

use super::service::Service;
use super::types::LogId;
use super::{handover, peer_health, survey, wire};
use crate::base::NodeId;
use crate::proto::peer;
use crate::transport::CallOrigin;

impl Service {
    pub(super) async fn answer_survey(&self, caller: CallOrigin, request: peer::SurveyRequest) -> Result<peer::SurveyReply, Status> {
        let from = self.admit_member(caller, request.envelope).await?;
        let servers = self.checked(from, survey::servers_from_wire(&request.servers))?;
        let reach = survey::answer(&self.core, servers).await.ok_or_else(|| Status::unavailable("nobody here looks at servers now"))?;
        Ok(peer::SurveyReply { responder: Some(self.core.passport.responder()), reached: reach.reached, out_of_reach: reach.out_of_reach })
    }

    pub(super) async fn take_invitation(&self, caller: CallOrigin, request: peer::TakeLeadRequest) -> Result<peer::TakeLeadReply, Status> {
        let from = self.admit_member(caller, request.envelope).await?;
        let vote = self.checked(from, wire::vote_from_wire(request.vote))?;
        let refused = handover::take_lead(&self.core, from, &vote).err().unwrap_or_default();
        Ok(peer::TakeLeadReply { responder: Some(self.core.passport.responder()), refused })
    }

    pub(super) async fn answer_ping(&self, caller: CallOrigin, request: peer::PingRequest) -> Result<peer::PingReply, Status> {
        let from = self.admit_known(caller, request.envelope).await?;
        Ok(peer::PingReply {
            responder: Some(self.core.passport.responder()),
            formed: self.core.has_members(),
            member: self.core.is_member(from),
            state: peer_health::state_digest(&self.core),
            last_log: self.core.log.ends().0.as_ref().map(wire::log_id_to_wire),
            entry: request.entry_at.and_then(|index| self.committed_at(index)).as_ref().map(wire::log_id_to_wire),
        })
    }

    fn committed_at(&self, index: u64) -> Option<LogId> {
        let (_, committed) = self.core.log.ends();
        committed.filter(|committed| index <= committed.index).and_then(|_| self.core.log.log_id_at(index))
    }

    pub(super) async fn answer_vouch(&self, caller: CallOrigin, request: peer::VouchRequest) -> Result<peer::VouchReply, Status> {
        self.admit_curious(caller, request.envelope).await?;
        let id = NodeId(request.id);
        let membership = self.core.consensus.server_metrics().borrow().membership_config.log_id().as_ref().map(wire::log_id_to_wire);
        Ok(peer::VouchReply {
            responder: Some(self.core.passport.responder()),
            member: self.core.is_member(id),
            incarnation: self.core.passport.known(id).unwrap_or_default(),
            membership,
        })
    }
}
