//! Which commands ACL tools take together. As in Redis 7.0, command for command.

/// All categories that Redis knows, in its order. Most are about data, and empty here.
pub(crate) const ALL: [&str; 21] = [
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

/// The categories of a command, by its full name.
pub(crate) fn of(command: &str) -> &'static [&'static str] {
    let (container, sub) = command.split_once('|').map_or((command, None), |(container, sub)| (container, Some(sub)));
    match (container, sub) {
        ("ping" | "hello" | "auth" | "quit", _) => &["fast", "connection"],
        ("client", None) => &["slow"],
        ("client", Some("kill" | "list" | "no-evict" | "pause" | "unblock" | "unpause")) => &["admin", "slow", "dangerous", "connection"],
        ("client", Some(_)) | ("command", _) => &["slow", "connection"],
        ("info", _) => &["slow", "dangerous"],
        ("role", _) => &["admin", "fast", "dangerous"],
        ("shutdown", _) => &["admin", "slow", "dangerous"],
        ("publish", _) => &["pubsub", "fast"],
        ("subscribe" | "psubscribe" | "unsubscribe" | "punsubscribe", _) => &["pubsub", "slow"],
        ("acl", None | Some("cat" | "genpass" | "help" | "whoami")) | ("sentinel", Some("help")) => &["slow"],
        // What decides about masters, users and this process, and whatever comes to be.
        _ => &["admin", "slow", "dangerous"],
    }
}
