//! The rules. To change who may use whom, change this table, and say why in the commit.

/// A room of the house: a folder or a file directly below `src`.
pub(crate) struct Room {
    /// Its name.
    pub(crate) name: &'static str,
    /// The rooms it may use, or the only names it may use of one (`room::name`).
    pub(crate) may_use: &'static [&'static str],
    /// Whether it may not touch the outside world.
    pub(crate) pure: bool,
    /// What one file of it may use in addition.
    pub(crate) except: &'static [(&'static str, &'static str)],
}

const fn room(name: &'static str, may_use: &'static [&'static str]) -> Room {
    Room { name, may_use, pure: false, except: &[] }
}

const fn pure(name: &'static str, may_use: &'static [&'static str]) -> Room {
    Room { name, may_use, pure: true, except: &[] }
}

#[rustfmt::skip]
pub(crate) const ROOMS: &[Room] = &[
    // What everybody may use.
    pure("base",    &[]),
    room("clock",   &["base"]),
    room("proto",   &[]),
    room("failpoint", &[]),
    room("simulate", &[]),
    // What is agreed, and what one sentinel makes of it.
    pure("machine", &["base"]),
    pure("judge",   &["base", "machine"]),
    room("board",   &["base", "judge::view", "judge::GroupView", "judge::NodeView", "judge::Link"]),
    // Disk, peers, servers.
    room("store",   &["base", "failpoint", "machine", "raft::types"]),
    // Which release a test plays.
    room("raft",    &["admission", "base", "clock", "failpoint", "machine", "proto", "secret", "store", "tls", "transport"]),
    // Places for connections, at all ports.
    room("admission", &["base", "clock"]),
    room("renewal", &[]),
    room("secret",  &["base", "renewal"]),
    room("tls",     &["base", "renewal"]),
    room("transport", &["admission", "base", "clock", "secret", "tls"]),
    room("redis",   &["base", "tls"]),
    room("probe",   &["base", "clock", "redis"]),
    // Words for those who listen, and what an operator wants done.
    room("events",  &["base", "board", "machine"]),
    room("hooks",   &["base", "clock", "events", "machine", "secret"]),
    // Hands and mouth: they do not know each other.
    room("agent",   &["base", "board", "clock", "failpoint", "judge", "machine", "probe", "raft", "redis", "secret", "simulate", "tls"]),
    room("serve",   &["admission", "base", "board", "clock", "conf", "events", "hooks", "machine", "proto", "raft", "simulate", "tls", "transport",
                      "judge::view", "judge::GroupView", "judge::NodeView", "judge::Link", "judge::RemovalStep"]),
    // Operators.
    Room { name: "conf", may_use: &["base"], pure: false, except: &[("conf/cli.rs", "ctl"), ("conf/cli.rs", "gate")] },
    room("ctl",     &["base", "proto", "tls", "transport"]),
    // It asks the sentinels as an operator does, and reads the lines of a file as Redis does.
    room("gate",    &["base", "proto", "transport", "conf::words", "ctl::client", "ctl::command"]),
    // The only place that knows every room.
    room("app",     &["admission", "agent", "base", "board", "clock", "conf", "ctl", "events", "hooks", "judge", "machine", "probe", "proto", "raft",
                      "redis", "renewal", "secret", "serve", "simulate", "store", "tls", "transport"]),
    room("main",    &["app", "conf", "ctl", "gate", "secret"]),
    // The map and the long pages: they use no room.
    room("lib",     &[]),
    room("docs",    &[]),
];

/// What pure rooms may not contain, and why.
#[rustfmt::skip]
pub(crate) const NOT_IN_PURE_ROOMS: &[(&str, &str)] = &[
    ("async",       "a pure room is called, it does not wait"),
    ("await",       "a pure room is called, it does not wait"),
    ("tokio",       "no tasks"),
    ("futures_util", "no tasks"),
    ("Instant",     "the moment is an argument"),
    ("SystemTime",  "the moment is an argument"),
    ("std::net",    "no sockets"),
    ("std::fs",     "no files"),
    ("std::io",     "no input or output"),
    ("std::env",    "no environment"),
    ("std::thread", "no threads"),
    ("std::process", "no processes"),
    ("rand",        "no dice: a proposer puts the random pick into the entry"),
    ("tracing",     "facts are returned, others log them"),
    ("println",     "facts are returned, others print them"),
    ("eprintln",    "facts are returned, others print them"),
    ("HashMap",     "its order differs from run to run: BTreeMap"),
    ("HashSet",     "its order differs from run to run: BTreeSet"),
    ("f32",         "sentinels must compute the same everywhere"),
    ("f64",         "sentinels must compute the same everywhere"),
];

/// Libraries and calls that only some rooms may know.
#[rustfmt::skip]
pub(crate) const LIBRARIES: &[(&str, &[&str])] = &[
    ("openraft",     &["raft", "store"]),
    ("redb",         &["store"]),
    ("::redis",      &["redis"]),
    ("tonic",        &["app", "ctl", "gate", "proto", "raft", "serve", "transport"]),
    ("tokio_rustls", &["redis", "serve", "tls", "transport"]),
    ("axum",         &["serve"]),
    ("hyper",        &["hooks", "serve"]),
    ("hyper_util",   &["hooks", "serve", "transport"]),
    ("snow",         &["transport"]),
    ("rustls",       &["hooks", "redis", "tls"]),
    ("ring::hkdf",   &["secret"]),
    ("tokio::process", &["hooks"]),
    ("clap",         &["conf", "ctl", "gate", "main"]),
    ("comfy_table",  &["ctl"]),
    ("tracing_subscriber", &["app", "main"]),
    ("SystemTime",   &["clock"]),
    // Deadlines of calls. Whoever reasons with moments gets them from the clock, as an argument.
    // The store measures its disk.
    ("Instant::now", &["clock", "ctl", "gate", "probe", "raft", "redis", "serve", "store", "transport"]),
    // A simulated failure is to look like a crash.
    ("process::exit", &["main", "simulate"]),
];

/// Lines in one file.
pub(crate) const LINES: usize = 400;

/// Files that may be longer, with the reason. Best empty.
pub(crate) const LONG_FILES: &[(&str, &str)] = &[];
