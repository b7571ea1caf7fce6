//! Every limit, by name, in one place, and how the limits relate to each other.

/// Servers that one sentinel asks another about at a time.
pub const SERVERS_ASKED_ABOUT: usize = 64;
/// Largest message between sentinels, in bytes. A snapshot is cut into chunks below it.
pub const PEER_MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// Snapshot bytes in one message.
pub const SNAPSHOT_CHUNK_BYTES: usize = 1024 * 1024;
/// Largest snapshot that is accepted from a peer, in bytes.
pub const SNAPSHOT_BYTES: usize = 256 * 1024 * 1024;
/// Terms that a peer may be ahead: decades of elections without a pause.
pub const TERM_JUMP: u64 = 1 << 32;
/// Largest term. What remains above it is room for arithmetic.
pub const TERM_LIMIT: u64 = 1 << 62;
/// Entries that a peer may be ahead: decades of entries, a thousand a second.
pub const INDEX_JUMP: u64 = 1 << 40;
/// Largest index of an entry.
pub const INDEX_LIMIT: u64 = 1 << 62;
/// Members of the Raft group, voters and learners, in one entry.
pub const MEMBERS: usize = 64;
/// Log entries in one AppendEntries call.
pub const APPEND_ENTRIES: u64 = 64;
/// Largest serialized command in the log, in bytes.
pub const COMMAND_BYTES: usize = 48 * 1024;
/// Applied entries after which a snapshot is taken.
pub const SNAPSHOT_EVERY_ENTRIES: u64 = 2000;
/// Entries from one digest of the state to the next. Members compare them.
pub const STATE_DIGEST_EVERY_ENTRIES: u64 = 500;
/// Entries kept behind a snapshot so that a slow follower needs no whole copy.
pub const ENTRIES_KEPT_BEHIND_SNAPSHOT: u64 = 500;

/// Largest gRPC request of a client, in bytes.
pub const CLIENT_MESSAGE_BYTES: usize = 64 * 1024;

/// Groups in one cluster.
pub const GROUPS: usize = 4096;
/// Removed groups that may be taken up again.
pub const REMOVED_GROUPS: usize = 64;
/// Replicas recorded in one group.
pub const REPLICAS_PER_GROUP: usize = 64;
/// Finished failovers remembered for each group.
pub const DECISIONS_PER_GROUP: usize = 32;
/// Outages in shadow remembered for each group.
pub const INCIDENTS_PER_GROUP: usize = 32;
/// Ids of sentinels that left.
pub const FORMER_SENTINELS: usize = 64;
/// Master changes remembered for watchers that resume.
pub const MASTER_CHANGES: usize = 1024;
/// Changes that clients asked for, and of which it is remembered who did.
pub const REQUESTS: usize = 256;

/// Words in one RESP request.
pub const RESP_WORDS: usize = 1024;
/// Bytes in one word of a RESP request.
pub const RESP_WORD_BYTES: usize = 64 * 1024;
/// Bytes in an inline request, or in one protocol line.
pub const RESP_LINE_BYTES: usize = 64 * 1024;
/// Words in a request before the client has authenticated (Redis's own rule).
pub const RESP_WORDS_UNAUTHENTICATED: usize = 10;
/// Bytes in a word before the client has authenticated (Redis's own rule).
pub const RESP_WORD_BYTES_UNAUTHENTICATED: usize = 16 * 1024;
/// Events that may wait for one slow subscriber before it is disconnected: those of a failover of every group there may be.
pub const EVENTS_WAITING: usize = 65_536;
/// Events of one failover: votes, both roles of each server, the steps.
pub const EVENTS_OF_A_FAILOVER: usize = 16;
/// Clients on the SENTINEL port (`maxclients`).
pub const CLIENTS: usize = 10_000;
/// Connections on the gRPC port (`grpc connections`).
pub const GRPC_CONNECTIONS: usize = 1024;
/// Connections on the HTTP port (`http connections`).
pub const HTTP_CONNECTIONS: usize = 128;

/// Bytes in one hello message. A name of 128 characters and two host names fit.
pub const HELLO_BYTES: usize = 1024;
/// Bytes in a host name (DNS's own rule).
pub const HOST_BYTES: usize = 255;
/// Hellos that may wait to be looked at; more of them wait in the links that they come from.
pub const HELLOS_WAITING: usize = 256;
/// Sentinels of others remembered for each group.
pub const FOREIGN_SENTINELS: usize = 64;

/// INFO text accepted from a data node, in bytes.
pub const INFO_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of that text that are kept, for people. An INFO has about 5 KB.
pub const INFO_KEPT_BYTES: usize = 64 * 1024;

/// Bytes in the name of a user of the data nodes.
pub const AUTH_USER_BYTES: usize = 512;
/// Bytes in the path of a script (the system's own limit).
pub const SCRIPT_PATH_BYTES: usize = 4096;

const _: () = assert!(EVENTS_OF_A_FAILOVER * GROUPS <= EVENTS_WAITING, "nobody is cut off by a failover of all groups");
const _: () = assert!(INFO_KEPT_BYTES <= INFO_BYTES, "not more is kept than is read");
const _: () = assert!(AUTH_USER_BYTES + 2 * SCRIPT_PATH_BYTES < COMMAND_BYTES / 2, "the settings of a group fit a command");
const _: () = assert!(SNAPSHOT_CHUNK_BYTES * 2 <= PEER_MESSAGE_BYTES, "a chunk must fit a message with room for its frame");
const _: () = assert!(COMMAND_BYTES * (APPEND_ENTRIES as usize) < PEER_MESSAGE_BYTES, "a full batch must fit a message");
const _: () = assert!(ENTRIES_KEPT_BEHIND_SNAPSHOT < SNAPSHOT_EVERY_ENTRIES, "a snapshot must free something");
const _: () = assert!(RESP_WORD_BYTES_UNAUTHENTICATED <= RESP_WORD_BYTES, "strangers get less, not more");
