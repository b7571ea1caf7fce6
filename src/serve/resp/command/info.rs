//! INFO: facts and counters of this process, and a line for each master.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::super::client::Client;
use super::super::context::COMPATIBLE_VERSION;
use super::super::instance::InstanceReply;
use super::super::reply::{Answer, Reply};

/// A section's name and how it is written.
type Section = (&'static str, fn(&Client, &mut String));

/// In the order of the reply.
const SECTIONS: [Section; 5] = [("server", server), ("clients", clients), ("stats", stats), ("cpu", cpu), ("sentinel", sentinel)];

/// One bulk string in RESP3 as well, as stock Sentinel does it.
pub(super) fn info(client: &mut Client, words: &[Bytes]) -> Answer {
    let wanted: BTreeSet<String> = words[1..].iter().map(|word| super::lower(word)).collect();
    let everything = wanted.is_empty() || ["default", "all", "everything"].iter().any(|all| wanted.contains(*all));
    let mut text = String::new();
    for (name, write) in SECTIONS {
        if everything || wanted.contains(name) {
            if !text.is_empty() {
                text.push_str("\r\n");
            }
            write(client, &mut text);
        }
    }
    Ok(Reply::bulk(text))
}

fn put(text: &mut String, name: &str, value: impl std::fmt::Display) {
    // Writing to a String does not fail.
    let _ = write!(text, "{name}:{value}\r\n");
}

fn server(client: &Client, text: &mut String) {
    let context = client.context();
    let me = &context.me;
    let uptime_s = context.clock.mono().ms_since(me.start) / 1000;
    text.push_str("# Server\r\n");
    put(text, "redis_version", COMPATIBLE_VERSION);
    put(text, "redis_mode", "sentinel");
    put(text, "raft_sentinel_version", env!("CARGO_PKG_VERSION"));
    put(text, "os", std::env::consts::OS);
    put(text, "arch_bits", usize::BITS);
    put(text, "process_id", std::process::id());
    put(text, "run_id", &me.run_id);
    put(text, "tcp_port", me.port);
    put(text, "server_time_usec", context.clock.wall().0);
    put(text, "uptime_in_seconds", uptime_s);
    put(text, "uptime_in_days", uptime_s / 86_400);
    put(text, "hz", 10);
    put(text, "executable", &me.executable);
    put(text, "config_file", &me.config_file);
}

fn clients(client: &Client, text: &mut String) {
    let all = client.shared.registry.all();
    text.push_str("# Clients\r\n");
    put(text, "connected_clients", all.len());
    put(text, "maxclients", client.context().port.shares().places);
    put(text, "pubsub_clients", all.iter().filter(|entry| entry.subscribed()).count());
}

fn stats(client: &Client, text: &mut String) {
    let registry = &client.shared.registry;
    text.push_str("# Stats\r\n");
    put(text, "total_connections_received", registry.connections.load(Ordering::Relaxed));
    put(text, "total_commands_processed", registry.commands.load(Ordering::Relaxed));
    put(text, "rejected_connections", registry.rejected.load(Ordering::Relaxed));
}

fn cpu(_: &Client, text: &mut String) {
    let (user_ticks, system_ticks) = cpu_ticks().unwrap_or_default();
    text.push_str("# CPU\r\n");
    put(text, "used_cpu_sys", seconds(system_ticks));
    put(text, "used_cpu_user", seconds(user_ticks));
}

/// User and system time of this process. Linux counts in hundredths of a second towards processes, whatever the kernel's own tick.
fn cpu_ticks() -> Option<(u64, u64)> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name, in parentheses, may hold blanks. After it, the state is the first field and the times are the 12th and 13th.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn seconds(ticks: u64) -> String {
    format!("{}.{:02}0000", ticks / 100, ticks % 100)
}

fn sentinel(client: &Client, text: &mut String) {
    let context = client.context();
    let state = context.agreement.state();
    let scripts = context.hooks.counts();
    text.push_str("# Sentinel\r\n");
    put(text, "sentinel_masters", state.groups.len());
    put(text, "sentinel_tilt", 0);
    put(text, "sentinel_tilt_since_seconds", -1);
    put(text, "sentinel_running_scripts", scripts.running);
    put(text, "sentinel_scripts_queue_length", scripts.queued);
    put(text, "sentinel_simulate_failure_flags", context.simulation.bits());
    for (number, group) in state.groups.values().enumerate() {
        let portrait = InstanceReply::new(context, &state, group);
        let down = portrait.master_is_down();
        let status = match (group.objectively_down(), down) {
            (true, _) => "odown",
            (false, true) => "sdown",
            (false, false) => "ok",
        };
        let (master, replicas) = (portrait.master_addr(), group.replicas.len());
        // Stock Sentinel does not put an IPv6 address in brackets here.
        let address = format!("{}:{}", master.host(), master.port());
        let sentinels = state.sentinels.keys().filter(|id| **id != context.agreement.id()).count() + 1;
        let line = format!("name={},status={status},address={address},slaves={replicas},sentinels={sentinels}", group.name);
        put(text, &format!("master{number}"), line);
    }
}
