//! Sentinels that call as members although this one does not know them.
//!
//! Only members append, vote, read, propose and send snapshots. But a sentinel that was down while the members changed knows an old list, and
//! its leader may be new. It does not take the newcomer's word: it asks the members that it knows (and those in its own file) whether the
//! newcomer is one. One answer is enough if it comes from a list that is at least as new as ours.
//!
//! Raft itself would let anybody in for this reason (Ongaro's dissertation, section 4.1); the question costs a newcomer one more attempt.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::core::Core;
use super::peer_identity::Refused;
use super::wire;
use crate::base::{Addr, Mono, NodeId, said};
use crate::proto::peer;

/// Time for one answer.
const ANSWER_WITHIN: Duration = Duration::from_millis(700);
/// Pause after a question that nobody answered with yes.
const ASK_AGAIN_AFTER_MS: u64 = 500;
/// An answer counts this long; then the members are asked again.
const GOOD_FOR_MS: u64 = 60_000;
/// Unknown sentinels that are asked about at one time.
const UNKNOWN: usize = 16;

/// Answers that were given about unknown sentinels.
#[derive(Debug, Default)]
pub(super) struct Vouched(Mutex<BTreeMap<NodeId, Page>>);

#[derive(Debug)]
enum Page {
    Asking,
    /// It is a member, in this life of its data directory (if that is known).
    Member {
        incarnation: Option<String>,
        at: Mono,
    },
    Unconfirmed {
        at: Mono,
    },
}

enum Found {
    Member,
    /// The members have to be asked.
    Ask,
    /// They are being asked, or were just now.
    Wait,
}

impl Vouched {
    fn pages(&self) -> MutexGuard<'_, BTreeMap<NodeId, Page>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, id: NodeId, presented: &str, now: Mono) -> Found {
        let mut pages = self.pages();
        pages.retain(|_, page| match page {
            Page::Asking => true,
            Page::Member { at, .. } => now.ms_since(*at) < GOOD_FOR_MS,
            Page::Unconfirmed { at } => now.ms_since(*at) < ASK_AGAIN_AFTER_MS,
        });
        match pages.get(&id) {
            Some(Page::Member { incarnation, .. }) if incarnation.as_deref().is_none_or(|known| known == presented) => Found::Member,
            Some(_) => Found::Wait,
            None if pages.len() >= UNKNOWN => Found::Wait,
            None => {
                pages.insert(id, Page::Asking);
                Found::Ask
            }
        }
    }
}

/// Whether the sentinel `id`, whose identity was checked already, may act as a member.
pub(super) fn check(core: &Arc<Core>, id: NodeId, incarnation: &str) -> Result<(), Refused> {
    // The book of peers follows the log by a task of its own, which notes who left before it strikes them out. A leader that removes
    // itself needs the acknowledgements of entries in which it is no member any more, so there is no moment in which it is neither.
    if core.is_member(id) || core.peers.knows(id) || core.peers.left_lately(id) {
        return Ok(());
    }
    let me = core.me;
    match core.vouched.look(id, incarnation, core.clock.mono()) {
        Found::Member => Ok(()),
        Found::Ask => {
            core.tasks.spawn(ask(core.clone(), id));
            Err(Refused(format!("sentinel {id} is no member, as far as sentinel {me} knows; it asks those it knows")))
        }
        Found::Wait => Err(Refused(format!("sentinel {id} is no member, as far as sentinel {me} knows: add it, or stop it"))),
    }
}

/// Asks all whose addresses are known from the log or from the file; the file is the operator's word.
async fn ask(core: Arc<Core>, id: NodeId) {
    let known: BTreeMap<NodeId, Option<Addr>> = {
        let from_file = core.config.peers.iter().map(|(peer, addr)| (*peer, Some(addr.clone())));
        let from_log = core.peers.ids().into_iter().map(|peer| (peer, None));
        from_file.chain(from_log).filter(|(peer, _)| *peer != core.me).collect()
    };
    let names: Vec<String> = known.keys().map(ToString::to_string).collect();
    let ours = core.membership_index().map(|index| index.0);
    let question = |(peer, addr): (NodeId, Option<Addr>)| {
        let core = core.clone();
        async move {
            let request = |mut client: super::calls::Client, envelope| async move {
                client.vouch(peer::VouchRequest { envelope: Some(envelope), id: id.0 }).await
            };
            let answer: Result<peer::VouchReply, _> = match addr {
                None => core.calls.call(peer, ANSWER_WITHIN, request).await,
                Some(addr) => core.calls.call_at(peer, &addr, ANSWER_WITHIN, request).await,
            };
            (peer, answer)
        }
    };
    let mut answers: FuturesUnordered<_> = known.into_iter().map(question).collect();
    let mut heard = Vec::new();
    let page = loop {
        let next = tokio::select! {
            () = core.stop.cancelled() => return,
            next = answers.next() => next,
        };
        match next {
            None => break None,
            Some((peer, Ok(reply))) => {
                let place = reply.membership.map(wire::log_id_from_wire).map(|place| place.index);
                if reply.member && place >= ours {
                    tracing::info!(%id, by = %peer, "a sentinel that this one did not know is a member");
                    break Some(Some(reply.incarnation).filter(|incarnation| !incarnation.is_empty()));
                }
                heard.push(format!("sentinel {peer} knows no such member"));
            }
            Some((peer, Err(problem))) => tracing::debug!(%peer, %problem, "no answer about an unknown sentinel"),
        }
    };
    let at = core.clock.mono();
    let page = match page {
        Some(incarnation) => Page::Member { incarnation, at },
        None => {
            core.peers.note_stranger(
                &format!("sentinel {id}"),
                &format!(
                    "sentinel {id} calls as a member, and no sentinel that this one knows ({}) confirms it{}. If it is none, stop it. If all of \
                     those were replaced while this sentinel was down, name the present members in its file ('raft peer', with 'raft cluster-id {}' \
                     beside them) and start it again, or remove it and let it join as a new one",
                    names.join(", "),
                    if heard.is_empty() { String::new() } else { format!(": {}", heard.join(", ")) },
                    said(core.identity.cluster_id().as_str()),
                ),
            );
            Page::Unconfirmed { at }
        }
    };
    core.vouched.pages().insert(id, page);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentinel_is_asked_about_once_and_again_after_a_while() {
        let vouched = Vouched::default();
        let (id, at) = (NodeId(4), Mono::from_ms(1000));
        assert!(matches!(vouched.look(id, "a", at), Found::Ask));
        assert!(matches!(vouched.look(id, "a", at), Found::Wait), "while it is being asked");
        vouched.pages().insert(id, Page::Unconfirmed { at });
        assert!(matches!(vouched.look(id, "a", at.plus_ms(ASK_AGAIN_AFTER_MS - 1)), Found::Wait));
        assert!(matches!(vouched.look(id, "a", at.plus_ms(ASK_AGAIN_AFTER_MS)), Found::Ask));
        vouched.pages().insert(id, Page::Member { incarnation: Some("a".to_owned()), at });
        assert!(matches!(vouched.look(id, "a", at.plus_ms(1)), Found::Member));
        assert!(matches!(vouched.look(id, "b", at.plus_ms(1)), Found::Wait), "another life of its disk");
        assert!(matches!(vouched.look(id, "a", at.plus_ms(GOOD_FOR_MS)), Found::Ask), "it may have been removed since");
    }

    #[test]
    fn a_thousand_invented_sentinels_are_a_few_questions() {
        let vouched = Vouched::default();
        let asked = (0..1000).filter(|id| matches!(vouched.look(NodeId(*id), "a", Mono::from_ms(1)), Found::Ask)).count();
        assert_eq!(asked, UNKNOWN);
    }
}
