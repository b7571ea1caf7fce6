//! The table of commands.

use super::row::{Arity, Row, Run, Subject};
use super::{acl_admin, catalogue, client_admin, connection, info, pubsub, sentinel};

/// Every command of this port.
pub(super) static TABLE: &[Row] = &[
    Row::new("ping", Arity::Between(1, 2), "[<message>]", "Says that this sentinel answers.", Run::Now(connection::ping))
        .about(Subject::Connection)
        .while_subscribed(),
    Row::new(
        "hello",
        Arity::AtLeast(1),
        "[<protocol> [AUTH <user> <password>] [SETNAME <name>]]",
        "Chooses the protocol.",
        Run::Wait(|client, words| Box::pin(connection::hello(client, words))),
    )
    .about(Subject::Connection)
    .open(),
    Row::new(
        "auth",
        Arity::AtLeast(2),
        "[<user>] <password>",
        "Authenticates.",
        Run::Wait(|client, words| Box::pin(connection::auth(client, words))),
    )
    .about(Subject::Connection)
    .open(),
    Row::new("quit", Arity::AtLeast(1), "", "Closes the connection.", Run::Now(connection::quit))
        .about(Subject::Connection)
        .open()
        .while_subscribed(),
    Row::new("client", Arity::AtLeast(2), "<subcommand>", "About connections.", Run::Container { bare: None, rows: client_admin::ROWS })
        .about(Subject::Connection),
    Row::new(
        "command",
        Arity::AtLeast(1),
        "[<subcommand>]",
        "About commands.",
        Run::Container { bare: Some(catalogue::all), rows: catalogue::ROWS },
    )
    .about(Subject::Server),
    Row::new("info", Arity::AtLeast(1), "[<section> ...]", "Facts and counters.", Run::Now(info::info)).about(Subject::Server),
    Row::new("role", Arity::Exactly(1), "", "Says that this is a sentinel, and of which masters.", Run::Now(connection::role))
        .about(Subject::Server),
    Row::new("shutdown", Arity::AtLeast(1), "[NOSAVE|SAVE] [NOW] [FORCE] [ABORT]", "Stops this sentinel.", Run::Now(connection::shutdown))
        .about(Subject::Server),
    Row::new("subscribe", Arity::AtLeast(2), "<channel> ...", "Hears events by name.", Run::Now(pubsub::subscribe))
        .about(Subject::Pubsub)
        .while_subscribed(),
    Row::new("psubscribe", Arity::AtLeast(2), "<pattern> ...", "Hears events by pattern.", Run::Now(pubsub::psubscribe))
        .about(Subject::Pubsub)
        .while_subscribed(),
    Row::new("unsubscribe", Arity::AtLeast(1), "[<channel> ...]", "Hears them no more.", Run::Now(pubsub::unsubscribe))
        .about(Subject::Pubsub)
        .while_subscribed(),
    Row::new("punsubscribe", Arity::AtLeast(1), "[<pattern> ...]", "Hears them no more.", Run::Now(pubsub::punsubscribe))
        .about(Subject::Pubsub)
        .while_subscribed(),
    Row::new("publish", Arity::Exactly(3), "<channel> <message>", "Takes hellos of other tools.", Run::Now(pubsub::publish))
        .about(Subject::Pubsub),
    Row::new("acl", Arity::AtLeast(2), "<subcommand>", "About users.", Run::Container { bare: None, rows: acl_admin::ROWS })
        .about(Subject::Server),
    Row::new(
        "sentinel",
        Arity::AtLeast(2),
        "<subcommand>",
        "About monitored masters.",
        Run::Container { bare: None, rows: sentinel::ROWS },
    ),
];
