//! SENTINEL LEAD: another sentinel is to lead. Ours; stock has no leader between failovers.

use bytes::Bytes;

use super::super::super::client::Client;
use super::super::super::number::integer;
use super::super::super::reply::{Answer, Reply};
use super::argument;
use crate::base::NodeId;
use crate::raft::MembershipError;

/// Only the one that leads can give that away. What it decides then is told as it is: a refusal, or an outcome that is not known.
pub(super) async fn lead(client: &mut Client, words: &[Bytes]) -> Answer {
    let id = integer(argument(words)).and_then(|id| u64::try_from(id).ok()).filter(|id| *id > 0);
    let to = NodeId(id.ok_or_else(|| Reply::error("ERR Invalid sentinel id: it is the number in its 'raft node-id' line"))?);
    client.record(&format!("lead {to}"));
    let handed = client.context().agreement.hand_over(to).await;
    handed.map(|()| Reply::OK).map_err(|error| {
        Reply::error(match error {
            MembershipError::NotLeading(Some(leader)) => format!("ERR only the sentinel that leads hands that over: ask sentinel {leader}"),
            MembershipError::NotLeading(None) => "NOQUORUM no leader with a quorum is known".to_owned(),
            MembershipError::Refused(why) => format!("ERR {why}"),
            MembershipError::Unknown(why) => format!("ERR {why}; see raft-sentinel status"),
        })
    })
}
