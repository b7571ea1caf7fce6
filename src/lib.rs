//! raft-sentinel: a replacement for Redis Sentinel whose decisions are entries of a Raft log.
//!
//! ```text
//!            ┌────────────────────────────── app ──────────────────────────────┐
//!   eyes     │  probe ──Seen──▶ agent ◀──State, Leadership── raft ◀──▶ peers   │
//!            │                  │   ▲                         │  ▲             │
//!   mind     │             Input│   │Intent                   │  │ apply       │
//!            │                judge ──reads──────────────▶ machine             │
//!   hands    │  redis ◀─asks──  agent ──Command──▶ raft ──▶ store (disk)       │
//!   mouth    │  serve/resp, serve/grpc, serve/http ──read──▶ raft, board       │
//!            │  events ◀──facts, sights── raft, board;  hooks ◀──words── events│
//!            └──────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The rooms, in reading order, and what each must *not* know:
//!
//! | room | holds | does not know |
//! |---|---|---|
//! | [`base`] | the words all rooms share | any other room |
//! | [`machine`] | what all sentinels agree on | clocks, sockets, tasks, who leads |
//! | [`judge`] | what this sentinel believes and wants | clocks, sockets, tasks |
//! | [`conf`] | the configuration file and the command line | anything that runs |
//! | [`store`] | the log, the vote and the snapshots on disk | what commands mean |
//! | [`raft`] | consensus, peers, proposals, reads | Redis |
//! | [`admission`] | places for connections, at each port and for each source | what is said at a port |
//! | [`renewal`] | files that are read again when they change | what they mean |
//! | [`secret`] | what the sentinels of one cluster share, and the keys made of it | what a key is for |
//! | [`tls`] | keys and certificates | who listens, who is connected to |
//! | [`transport`] | gRPC connections, in clear text or TLS | what is asked and answered |
//! | [`redis`] | talking to a monitored server | what it is for |
//! | [`probe`] | looking at one data node | decisions |
//! | [`agent`] | one loop for each group: input, step, intents | who asks from outside |
//! | [`board`], [`clock`] | what this sentinel sees; what time it is | decisions |
//! | [`events`] | facts and sights in stock Sentinel's words, one stream for all | who listens |
//! | [`hooks`] | scripts that run and webhooks that are called when something happens | who decided it |
//! | [`failpoint`], [`simulate`] | where a test, or a drill, may end this process | why |
//! | [`serve`] | answers: SENTINEL protocol, gRPC, HTTP | `agent` |
//! | [`ctl`] | the operator's command line | anything but the gRPC services |
//! | [`gate`] | as what a Redis server starts, on its own host | anything but the gRPC services |
//! | `app` | wires, starts and drains all of it | details |

pub mod admission;
pub mod agent;
pub mod app;
pub mod base;
pub mod board;
pub mod clock;
pub mod conf;
pub mod ctl;
pub mod docs;
pub mod events;
pub mod failpoint;
pub mod gate;
pub mod hooks;
pub mod judge;
pub mod machine;
pub mod probe;
pub mod proto;
pub mod raft;
pub mod redis;
pub mod renewal;
pub mod secret;
pub mod serve;
pub mod simulate;
pub mod store;
pub mod tls;
pub mod transport;
