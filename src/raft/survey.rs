//! A leader that cannot reach some servers asks the others whether they can. This room only carries question and answer.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::core::Core;
use super::wire::Malformed;
use crate::base::server::{Reach, Server};
use crate::base::{GroupName, NodeId, limits};
use crate::proto::peer;

/// How long a member may take to look, and its answer to arrive.
const ANSWER_WITHIN: Duration = Duration::from_millis(400);
/// Questions of others that may wait for an answer.
pub(super) const WAITING: usize = 4;

/// A question of another member, to be answered by who sees servers.
#[derive(Debug)]
pub struct Survey {
    /// The servers that are asked about.
    pub servers: Vec<Server>,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Reach>,
}

/// Asks all other voters at once. Those that do not answer are left out.
pub(super) async fn ask(core: &Core, servers: &[Server]) -> BTreeMap<NodeId, Reach> {
    let named: Vec<peer::Server> =
        servers.iter().map(|server| peer::Server { group: server.group.to_string(), address: server.addr.to_string() }).collect();
    let ask = |id: NodeId| {
        let servers = named.clone();
        async move {
            let asked: Result<peer::SurveyReply, _> = core
                .calls
                .call(id, ANSWER_WITHIN, |mut client, envelope| async move {
                    client.survey(peer::SurveyRequest { envelope: Some(envelope), servers }).await
                })
                .await;
            asked.ok().map(|reply| (id, Reach { reached: reply.reached, out_of_reach: reply.out_of_reach }))
        }
    };
    let others = core.standing().all_voters().into_iter().filter(|id| *id != core.me);
    others.map(ask).collect::<FuturesUnordered<_>>().filter_map(std::future::ready).collect().await
}

/// The servers in a question. More than there may be are not looked at.
pub(super) fn servers_from_wire(servers: &[peer::Server]) -> Result<Vec<Server>, Malformed> {
    if servers.len() > limits::SERVERS_ASKED_ABOUT {
        return Err(Malformed(format!("{} servers in one question, {} are allowed", servers.len(), limits::SERVERS_ASKED_ABOUT)));
    }
    let server = |server: &peer::Server| {
        let group = GroupName::new(server.group.as_str()).map_err(|problem| Malformed(problem.to_string()))?;
        let addr = server.address.parse().map_err(|problem| Malformed(format!("{problem}")))?;
        Ok(Server { group, addr })
    };
    servers.iter().map(server).collect()
}

/// The answer of this sentinel; none while nobody here answers.
pub(super) async fn answer(core: &Core, servers: Vec<Server>) -> Option<Reach> {
    let (answer, answered) = oneshot::channel();
    core.surveys.try_send(Survey { servers, answer }).ok()?;
    timeout(ANSWER_WITHIN, answered).await.ok()?.ok()
}

/// The way of the questions to who answers them.
pub(super) fn channel() -> (mpsc::Sender<Survey>, mpsc::Receiver<Survey>) {
    mpsc::channel(WAITING)
}
