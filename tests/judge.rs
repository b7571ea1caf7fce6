//! The judge, with the real machine, in a small world of made-up data nodes: what three sentinels come to want.

#[path = "judge/addresses.rs"]
mod addresses;
#[path = "judge/alarm.rs"]
mod alarm;
#[path = "judge/failover.rs"]
mod failover;
#[path = "judge/forced.rs"]
mod forced;
#[path = "judge/foreign.rs"]
mod foreign;
#[path = "judge/handover.rs"]
mod handover;
#[path = "judge/kept.rs"]
mod kept;
#[path = "judge/node.rs"]
mod node;
#[path = "judge/planned.rs"]
mod planned;
#[path = "judge/readiness.rs"]
mod readiness;
#[path = "judge/replicas.rs"]
mod replicas;
#[path = "judge/seeing.rs"]
mod seeing;
#[path = "judge/strict.rs"]
mod strict;
#[path = "judge/unfinished.rs"]
mod unfinished;
#[path = "judge/world.rs"]
mod world;
