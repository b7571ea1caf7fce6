//! SUBSCRIBE and its kin. Channels are the names of events; nothing else is ever published here.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::super::bounds;
use super::super::client::Client;
use super::super::reply::{Answer, Reply};
use crate::base::Hello;
use crate::base::hello::HELLO_CHANNEL;

/// By name or by pattern.
#[derive(Clone, Copy)]
enum SubscriptionKind {
    Channel,
    Pattern,
}

impl SubscriptionKind {
    fn of(self, client: &mut Client) -> &mut BTreeSet<Bytes> {
        match self {
            Self::Channel => &mut client.subscriptions.channels,
            Self::Pattern => &mut client.subscriptions.patterns,
        }
    }
}

pub(super) fn subscribe(client: &mut Client, words: &[Bytes]) -> Answer {
    add(client, SubscriptionKind::Channel, "subscribe", &words[1..])
}

pub(super) fn psubscribe(client: &mut Client, words: &[Bytes]) -> Answer {
    add(client, SubscriptionKind::Pattern, "psubscribe", &words[1..])
}

pub(super) fn unsubscribe(client: &mut Client, words: &[Bytes]) -> Answer {
    remove(client, SubscriptionKind::Channel, "unsubscribe", &words[1..])
}

pub(super) fn punsubscribe(client: &mut Client, words: &[Bytes]) -> Answer {
    remove(client, SubscriptionKind::Pattern, "punsubscribe", &words[1..])
}

/// All names or none: a client that is told of an error must not have to find out which ones it got.
fn add(client: &mut Client, kind: SubscriptionKind, word: &'static str, names: &[Bytes]) -> Answer {
    if names.iter().any(|name| name.len() > bounds::NAME_BYTES) {
        return Err(Reply::error(format!("ERR a channel name has at most {} bytes", bounds::NAME_BYTES)));
    }
    if client.subscriptions.count() + names.len() > bounds::SUBSCRIPTIONS {
        return Err(Reply::error(format!("ERR a client has at most {} subscriptions", bounds::SUBSCRIPTIONS)));
    }
    if client.subscriptions.news.is_none() {
        client.subscriptions.news = Some(client.shared.context.hub.listen());
    }
    let mut replies = Vec::with_capacity(names.len());
    for name in names {
        // A copy: the name must not keep the buffer alive that it came in.
        kind.of(client).insert(Bytes::copy_from_slice(name));
        replies.push(confirmation(client, word, Reply::Bulk(name.clone())));
    }
    note_counts(client);
    Ok(Reply::Sequence(replies))
}

fn remove(client: &mut Client, kind: SubscriptionKind, word: &'static str, names: &[Bytes]) -> Answer {
    let all: Vec<Bytes> = if names.is_empty() { kind.of(client).iter().cloned().collect() } else { names.to_vec() };
    let mut replies = Vec::with_capacity(all.len());
    for name in all {
        kind.of(client).remove(&name);
        replies.push(confirmation(client, word, Reply::Bulk(name)));
    }
    if replies.is_empty() {
        replies.push(confirmation(client, word, Reply::Null));
    }
    if !client.subscribed() {
        client.subscriptions.news = None;
    }
    note_counts(client);
    Ok(Reply::Sequence(replies))
}

fn confirmation(client: &Client, word: &'static str, name: Reply) -> Reply {
    let count = i64::try_from(client.subscriptions.count()).unwrap_or(i64::MAX);
    Reply::Push(vec![Reply::text(word), name, Reply::Int(count)])
}

fn note_counts(client: &Client) {
    let mut facts = client.entry.facts();
    facts.channels = client.subscriptions.channels.len();
    facts.patterns = client.subscriptions.patterns.len();
}

/// Answered as stock answers, so that stock sentinels, which say hello here too, are content. Nobody is believed for it: whoever may talk
/// to this port could say it. Sentinels of others are heard on the data nodes, and called back.
pub(super) fn publish(client: &mut Client, words: &[Bytes]) -> Answer {
    if words[1].as_ref() == HELLO_CHANNEL.as_bytes() {
        let hello = std::str::from_utf8(&words[2]).ok().and_then(|text| text.parse::<Hello>().ok());
        if hello.is_none() {
            client.context().board.count_malformed_hello();
        }
        Ok(Reply::Int(1))
    } else {
        Err(Reply::error("ERR Only HELLO messages are accepted by Sentinel instances."))
    }
}
