//! Live tests: real redis-server processes, real sentinels, on loopback.
//!
//! The modules lie in `tests/live/`. They wait for facts with a deadline; when one does not come, the whole timeline
//! with the end of every log is printed. `KEEP=1` keeps the folders. A missing redis-server is a failure.

#[path = "kit/mod.rs"]
mod kit;

#[path = "live/kit_itself.rs"]
mod kit_itself;

#[path = "live/failover.rs"]
mod failover;

#[path = "live/serve.rs"]
mod serve;

#[path = "live/grpc.rs"]
mod grpc;

#[path = "live/clients.rs"]
mod clients;

#[path = "live/by_hand.rs"]
mod by_hand;

#[path = "live/foreign.rs"]
mod foreign;

#[path = "live/moved.rs"]
mod moved;

#[path = "live/choosing.rs"]
mod choosing;

#[path = "live/repair.rs"]
mod repair;

#[path = "live/steps.rs"]
mod steps;

#[path = "live/votes.rs"]
mod votes;

#[path = "live/seeing.rs"]
mod seeing;

#[path = "live/lead.rs"]
mod lead;
#[path = "live/levels.rs"]
mod levels;
#[path = "live/members.rs"]
mod members;
#[path = "live/membership.rs"]
mod membership;

#[path = "live/hooks.rs"]
mod hooks;

#[path = "live/hello.rs"]
mod hello;

#[path = "live/tls.rs"]
mod tls;

#[path = "live/acl.rs"]
mod acl;
#[path = "live/addresses.rs"]
mod addresses;

#[path = "live/proof.rs"]
mod proof;

#[path = "live/tls_peers.rs"]
mod tls_peers;

#[path = "live/cut_off.rs"]
mod cut_off;
#[path = "live/honesty.rs"]
mod honesty;
#[path = "live/names.rs"]
mod names;

#[path = "live/operators.rs"]
mod operators;

#[path = "live/handover.rs"]
mod handover;

#[path = "live/rights.rs"]
mod rights;
#[path = "live/scripts.rs"]
mod scripts;

#[path = "live/planned.rs"]
mod planned;

#[path = "live/recover.rs"]
mod recover;
#[path = "live/redis_py.rs"]
mod redis_py;

#[path = "live/secrets.rs"]
mod secrets;

#[path = "live/pointed.rs"]
mod pointed;

#[path = "live/strange.rs"]
mod strange;

#[path = "live/strangers.rs"]
mod strangers;

#[path = "live/upgrade.rs"]
mod upgrade;

#[path = "live/watching.rs"]
mod watching;

#[path = "live/javascript.rs"]
mod javascript;

#[path = "live/exporter.rs"]
mod exporter;

#[path = "live/drill.rs"]
mod drill;
#[path = "live/gate.rs"]
mod gate;
#[path = "live/migration.rs"]
mod migration;

#[path = "live/shadow.rs"]
mod shadow;

#[path = "live/take_over.rs"]
mod take_over;

#[path = "live/remonitor.rs"]
mod remonitor;
#[path = "live/removal.rs"]
mod removal;

#[path = "live/readiness.rs"]
mod readiness;

#[path = "live/strict.rs"]
mod strict;

#[path = "live/slow_disk.rs"]
mod slow_disk;
