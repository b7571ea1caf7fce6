//! SENTINEL: about monitored masters.

mod change;
mod drill;
mod failover;
mod handover;
mod health;
mod local;
mod options;
mod parameters;
mod query;

use bytes::Bytes;

use super::super::client::Client;
use super::super::instance::names;
use super::super::reply::Reply;
use super::catalogue;
use super::row::{Arity, Row, Run};
use crate::base::{Addr, GroupName};
use crate::machine::{Group, State};

/// Turns an async handler into what the table holds.
macro_rules! wait {
    ($handler:path) => {
        Run::Wait(|client, words| Box::pin($handler(client, words)))
    };
}

/// The subcommands.
pub(super) static ROWS: &[Row] = &[
    Row::new(
        "adopt",
        Arity::Exactly(5),
        "<master-name> <ip> <port>",
        "Gives up what a server holds that shows nothing of the group (+foreign-server), so that it is made a replica.",
        wait!(change::adopt),
    ),
    Row::new("ckquorum", Arity::Exactly(3), "<master-name>", "Checks whether enough sentinels are there.", Run::Now(health::ckquorum)),
    Row::new(
        "config",
        Arity::AtLeast(4),
        "GET <pattern> ... | SET <parameter> <value> ...",
        "Returns or changes parameters of the sentinels themselves: all of these or none.",
        wait!(parameters::config),
    ),
    Row::new("debug", Arity::AtLeast(2), "[<tunable> <ms> ...]", "Returns or changes tunables of this sentinel.", Run::Now(drill::debug)),
    Row::new(
        "failover",
        Arity::Between(3, 7),
        "<master-name> [COORDINATED | FORCE] [TO <ip> <port>]",
        "Replaces a master although it is up: by the policy, without loss (COORDINATED), or with whatever loss it brings, also where \
         a failover is blocked (FORCE). OK means that it is in the log.",
        wait!(failover::failover),
    ),
    Row::new("flushconfig", Arity::Exactly(2), "", "Nothing to do: what is agreed is always on disk.", Run::Now(local::flushconfig)),
    Row::new(
        "forget",
        Arity::Between(4, 5),
        "<master-name> <ip:port> | <ip> <port>",
        "Forgets a replica, on all sentinels.",
        wait!(change::forget),
    ),
    Row::new(
        "get-master-addr-by-name",
        Arity::Exactly(3),
        "<master-name>",
        "Returns where the master is, confirmed by a quorum of sentinels.",
        wait!(query::get_master_addr),
    )
    .or(&["get-primary-addr-by-name"]),
    Row::new(
        "known-replica",
        Arity::Exactly(5),
        "<master-name> <ip> <port>",
        "Names a replica: with 'replicas-fixed yes' no other counts or is promoted.",
        wait!(change::known_replica),
    ),
    Row::new("help", Arity::Exactly(2), "", "Prints this help.", Run::Now(catalogue::help)),
    Row::new("info-cache", Arity::AtLeast(3), "<master-name> ...", "Returns the last INFO of each data node.", Run::Now(local::info_cache)),
    Row::new(
        "is-master-down-by-addr",
        Arity::Exactly(6),
        "<ip> <port> <epoch> <runid>",
        "Says whether this sentinel sees the master at that address down. Never votes.",
        Run::Now(health::is_master_down),
    )
    .or(&["is-primary-down-by-addr"]),
    Row::new(
        "lead",
        Arity::Exactly(3),
        "<raft-id>",
        "Lets another sentinel lead the others; asked of the one that leads. OK means that it does.",
        wait!(handover::lead),
    ),
    Row::new("master", Arity::Exactly(3), "<master-name>", "Describes a master.", wait!(query::master)).or(&["primary"]),
    Row::new("masters", Arity::Exactly(2), "", "Describes all masters.", wait!(query::masters)).or(&["primaries"]),
    Row::new(
        "monitor",
        Arity::Exactly(6),
        "<master-name> <ip> <port> <quorum>",
        "Monitors a master, on all sentinels.",
        wait!(change::monitor),
    ),
    Row::new("myid", Arity::Exactly(2), "", "Returns the id of this sentinel.", Run::Now(local::myid)),
    Row::new("pending-scripts", Arity::Exactly(2), "", "Returns the scripts that are to run.", Run::Now(local::pending_scripts)),
    Row::new(
        "remove",
        Arity::Between(3, 4),
        "<master-name> [FORCE]",
        "Stops monitoring a master, on all sentinels, and takes back what they have set on its servers. FORCE: whether or not that can be done.",
        wait!(change::remove),
    ),
    Row::new("replicas", Arity::Exactly(3), "<master-name>", "Describes the replicas of a master.", Run::Now(query::replicas))
        .or(&["slaves"]),
    Row::new(
        "reset",
        Arity::Exactly(3),
        "<pattern>",
        "Forgets the replicas that are down and have left, of all masters whose names fit.",
        wait!(change::reset),
    ),
    Row::new("sentinels", Arity::Exactly(3), "<master-name>", "Describes the other sentinels.", Run::Now(query::sentinels)),
    Row::new(
        "set",
        Arity::AtLeast(5),
        "<master-name> <option> <value> ...",
        "Changes settings of a master, on all sentinels: all of these or none.",
        wait!(change::set),
    ),
    Row::new(
        "simulate-failure",
        Arity::AtLeast(3),
        "[crash-after-election] [crash-after-promotion] [help]",
        "Ends this sentinel (exit code 99) in the next failover that it leads.",
        Run::Now(drill::simulate_failure),
    ),
];

/// The group of that name in `state`.
fn group<'a>(state: &'a State, name: &[u8]) -> Result<&'a Group, Reply> {
    let name = std::str::from_utf8(name).ok().and_then(|name| GroupName::new(name).ok());
    name.and_then(|name| state.groups.get(&name)).map(AsRef::as_ref).ok_or_else(no_such_master)
}

fn no_such_master() -> Reply {
    Reply::error("ERR No such master with that name")
}

/// The recorded address of a data node that a client names as it was told.
fn recorded(client: &Client, name: &GroupName, told: Addr) -> Addr {
    let (context, state) = (client.context(), local_state(client));
    match (state.groups.get(name), context.board.group(name)) {
        (Some(group), Some(view)) => names(context, &state, &view).recorded(group, &told),
        _ => told,
    }
}

/// The state as applied here.
fn local_state(client: &Client) -> std::sync::Arc<State> {
    client.context().agreement.state()
}

/// The first word after SENTINEL and its subcommand. The table's arity says that there is one.
fn argument(words: &[Bytes]) -> &Bytes {
    &words[2]
}
