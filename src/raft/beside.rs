//! What peers ask beside Raft: who sees which servers, and who should lead.

use tonic::Status;

use super::service::Service;
use super::{handover, survey, wire};
use crate::proto::peer;
use crate::transport::Caller;

impl Service {
    pub(super) async fn answer_survey(&self, caller: Caller, request: peer::SurveyRequest) -> Result<peer::SurveyReply, Status> {
        let from = self.admit_member(caller, request.envelope).await?;
        let servers = self.checked(from, survey::servers_from_wire(&request.servers))?;
        let reach = survey::answer(&self.core, servers).await.ok_or_else(|| Status::unavailable("nobody here looks at servers now"))?;
        Ok(peer::SurveyReply { responder: Some(self.core.passport.responder()), reached: reach.reached, out_of_reach: reach.out_of_reach })
    }

    pub(super) async fn take_invitation(&self, caller: Caller, request: peer::TakeLeadRequest) -> Result<peer::TakeLeadReply, Status> {
        let from = self.admit_member(caller, request.envelope).await?;
        let vote = self.checked(from, wire::vote_from_wire(request.vote))?;
        let refused = handover::take_lead(&self.core, from, &vote).err().unwrap_or_default();
        Ok(peer::TakeLeadReply { responder: Some(self.core.passport.responder()), refused })
    }
}
