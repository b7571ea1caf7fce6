//! What one client may take of this process, beyond `base::limits`.

use crate::base::limits;

/// Bytes of all words in one request.
pub(crate) const REQUEST_BYTES: usize = 1024 * 1024;
/// Bytes read from a client in one go; also how much of a pipeline is taken in before its replies are sent.
pub(crate) const READ_BYTES: usize = 16 * 1024;
/// Encoded replies and events that are collected before they are sent.
pub(crate) const WRITE_BYTES: usize = 64 * 1024;
/// Channels and patterns of one client.
pub(crate) const SUBSCRIPTIONS: usize = 1024;
/// Bytes in the name of a channel, a client, or its library.
pub(crate) const NAME_BYTES: usize = 512;
/// A client that takes not one byte for this long is disconnected.
pub(crate) const WRITE_STALL_MS: u64 = 15_000;
/// How often a client that takes no bytes is looked at.
pub(crate) const WRITE_LOOK_MS: u64 = 250;
/// How long a client may take for the TLS handshake.
pub(crate) const HANDSHAKE_MS: u64 = 3_000;
/// How long a client may take for its first request that is permitted. After that `timeout` alone counts.
pub(crate) const FIRST_REQUEST_MS: u64 = 60_000;
/// Requests that are served before other clients have their turn.
pub(crate) const REQUESTS_PER_TURN: usize = 32;
/// Encoded replies that count for one request more in a turn.
pub(crate) const REPLY_BYTES_PER_REQUEST: usize = 512;
/// Unfinished requests and unsent replies of all clients together. Beyond it, clients that hold much of it are disconnected.
pub(crate) const HELD_BYTES: usize = 64 * 1024 * 1024;
/// Unfinished requests and unsent replies of one client that are not counted.
pub(crate) const HELD_BYTES_UNCOUNTED: usize = 4 * 1024;
/// Unfinished requests and unsent replies that a client may hold in any case.
pub(crate) const HELD_BYTES_OF_ONE: usize = 32 * 1024;
/// Bytes of all words in one request before the client has authenticated.
pub(crate) const REQUEST_BYTES_UNAUTHENTICATED: usize = 32 * 1024;
/// Records of what clients changed here, that wait for a quorum.
pub(crate) const RECORDS: usize = 64;
/// How long running requests may take to end when the server stops.
pub(crate) const DRAIN_MS: u64 = 5_000;

const _: () = assert!(limits::RESP_WORD_BYTES <= REQUEST_BYTES, "a request holds its largest word");
const _: () =
    assert!(limits::RESP_WORD_BYTES_UNAUTHENTICATED <= REQUEST_BYTES_UNAUTHENTICATED, "a stranger's request holds its largest word");
const _: () = assert!(REQUEST_BYTES_UNAUTHENTICATED <= REQUEST_BYTES, "strangers get less, not more");
