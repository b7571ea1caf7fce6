//! Who the master is, and what is known of its replicas and the sentinels.
//!
//! Where clients look for the master (GET-MASTER-ADDR-BY-NAME, MASTER, MASTERS) the answer is confirmed by a quorum first.
//! What comes beside it is this sentinel's own view, and read at once.

use bytes::Bytes;

use super::super::super::client::Client;
use super::super::super::instance::InstanceReply;
use super::super::super::reply::{Answer, Reply};
use super::{argument, group, local_state};
use crate::serve::hold::Asked;

pub(super) async fn get_master_addr(client: &mut Client, words: &[Bytes]) -> Answer {
    let state = client.answerable(Some(Reply::NullArray), &Asked::named(argument(words))).await?;
    Ok(match group(&state, argument(words)) {
        Ok(group) => {
            let master = InstanceReply::new(client.context(), &state, group).master_addr();
            Reply::array([Reply::bulk(master.host()), Reply::bulk(master.port().to_string())])
        }
        Err(_) => Reply::NullArray,
    })
}

/// Stock's answer for a name that it does not know is an error, which is what clients of this command can take.
pub(super) async fn master(client: &mut Client, words: &[Bytes]) -> Answer {
    let state = client.answerable(None, &Asked::named(argument(words))).await?;
    Ok(InstanceReply::new(client.context(), &state, group(&state, argument(words))?).master())
}

pub(super) async fn masters(client: &mut Client, _: &[Bytes]) -> Answer {
    let state = client.answerable(Some(Reply::Array(Vec::new())), &Asked::All).await?;
    let context = client.context();
    Ok(Reply::array(state.groups.values().map(|group| InstanceReply::new(context, &state, group).master())))
}

pub(super) fn replicas(client: &mut Client, words: &[Bytes]) -> Answer {
    let state = local_state(client);
    Ok(InstanceReply::new(client.context(), &state, group(&state, argument(words))?).replicas())
}

pub(super) fn sentinels(client: &mut Client, words: &[Bytes]) -> Answer {
    let state = local_state(client);
    Ok(InstanceReply::new(client.context(), &state, group(&state, argument(words))?).sentinels())
}
