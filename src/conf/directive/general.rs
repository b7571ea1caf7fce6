//! What the file of any Redis 7 or Valkey 8 server may say, outside `sentinel ...`.

use std::path::PathBuf;

use super::{Args, Directive, Stage, Treatment};
use crate::base::Secret;
use crate::conf::choices::LogLevel;
use crate::conf::draft::Draft;
use crate::conf::settings::{Bind, Supervised};
use crate::conf::value::{Problem, is_host, listening_host, optional, shown, whole, yes_no};

/// Entries that ACL LOG may be told to keep.
const ACL_LOG_ENTRIES: usize = 10_000;
/// Addresses that `bind` may name; stock's limit.
const BIND_ADDRESSES: usize = 16;

pub(super) static ROWS: &[Directive] = &[
    // Followed while the lines are read; this row only counts the arguments of those that cannot be followed.
    used("include", |_, _| Ok(())),
    used("port", |draft, args| set(&mut draft.resp.port, whole(&args[0], &(0..=65535)))),
    Directive { args: Args::from_to(1, BIND_ADDRESSES), ..used("bind", bind) },
    used("requirepass", |draft, args| set(&mut draft.resp.requirepass, Ok(optional(&args[0]).map(Secret::new)))),
    used("protected-mode", |draft, args| set(&mut draft.resp.protected_mode, yes_no(&args[0]))),
    used("maxclients", |draft, args| set(&mut draft.resp.maxclients, whole(&args[0], &(1..=u32::MAX as usize)))),
    used("timeout", |draft, args| set(&mut draft.resp.timeout_s, whole(&args[0], &(0..=i32::MAX.unsigned_abs())))),
    used("tcp-keepalive", |draft, args| set(&mut draft.resp.tcp_keepalive_s, whole(&args[0], &(0..=32767)))),
    used("tcp-backlog", |draft, args| set(&mut draft.resp.tcp_backlog, whole(&args[0], &(0..=i32::MAX.unsigned_abs())))),
    used("dir", dir),
    used("logfile", |draft, args| set(&mut draft.log.file, Ok(optional(&args[0]).map(PathBuf::from)))),
    used("loglevel", log_level),
    used("supervised", supervised),
    Directive { args: Args::at_least(1), ..used("user", |draft, args| draft.take_user(args)) },
    used("aclfile", |draft, args| set(&mut draft.resp.acl.file, Ok(optional(&args[0]).map(PathBuf::from)))),
    used("acllog-max-len", |draft, args| set(&mut draft.resp.acl.log_entries, whole(&args[0], &(0..=ACL_LOG_ENTRIES)))),
    used("acl-pubsub-default", pubsub_default),
    used("unixsocket", |draft, args| set(&mut draft.unix_path, Ok(optional(&args[0]).map(PathBuf::from)))),
    used("unixsocketperm", unix_permissions),
    used("pidfile", |draft, args| set(&mut draft.pidfile, Ok(optional(&args[0]).map(PathBuf::from)))),
    used("bind-source-addr", |draft, args| {
        if optional(&args[0]).is_some() {
            draft.note("'bind-source-addr' has no effect here: connections go out from the address that this host's routes give them");
        }
        Ok(())
    }),
    used("daemonize", |draft, args| {
        draft.daemonize = yes_no(&args[0])?.then(|| draft.place.clone());
        Ok(())
    }),
    Directive {
        args: Args::exactly(2),
        ..refused(
            "rename-command",
            &[],
            "renaming the sentinel's own commands is not supported by this release: remove the line and protect the port \
             with requirepass (for the data nodes use 'sentinel rename-command')",
        )
    },
    Directive {
        args: Args::at_least(1),
        ..used("loadmodule", |draft, _| {
            draft.note_once("loadmodule", "'loadmodule' has no effect here: a sentinel loads no modules (nor does Redis's)");
            Ok(())
        })
    },
];

const fn used(name: &'static str, handler: fn(&mut Draft, &[String]) -> Result<(), Problem>) -> Directive {
    Directive { name, args: Args::exactly(1), stage: Stage::Process, treatment: Treatment::Use(handler) }
}

const fn refused(name: &'static str, harmless: &'static [&'static str], advice: &'static str) -> Directive {
    Directive { name, args: Args::exactly(1), stage: Stage::Process, treatment: Treatment::Refuse { harmless, advice } }
}

fn set<T>(place: &mut T, value: Result<T, Problem>) -> Result<(), Problem> {
    *place = value?;
    Ok(())
}

fn bind(draft: &mut Draft, args: &[String]) -> Result<(), Problem> {
    // One quoted argument may hold several addresses: so they arrive from a shell.
    let words = args.iter().flat_map(|arg| arg.split_ascii_whitespace());
    draft.resp.bind = words.map(bind_address).collect::<Result<_, _>>()?;
    if draft.resp.bind.is_empty() {
        return Err("bind names no address; expected at least one (port 0 turns the SENTINEL port off)".to_owned());
    }
    Ok(())
}

fn bind_address(word: &str) -> Result<Bind, Problem> {
    let (host, optional) = word.strip_prefix('-').map_or((word, false), |host| (host, true));
    let host = listening_host(host);
    if !is_host(host) {
        return Err(format!("{} is not an address to bind to; expected an IP address, a host name, * or ::*", shown(word)));
    }
    Ok(Bind { host: host.to_owned(), optional })
}

fn dir(draft: &mut Draft, args: &[String]) -> Result<(), Problem> {
    let path = optional(&args[0]).ok_or("dir is empty; expected the directory that holds the log")?;
    draft.dir = Some(PathBuf::from(path));
    Ok(())
}

fn log_level(draft: &mut Draft, args: &[String]) -> Result<(), Problem> {
    let expected = || format!("{} is not a log level; expected debug, verbose, notice, warning or nothing", shown(&args[0]));
    set(&mut draft.log.level, LogLevel::from_word(&args[0]).ok_or_else(expected))
}

fn supervised(draft: &mut Draft, args: &[String]) -> Result<(), Problem> {
    draft.supervised = match args[0].to_ascii_lowercase().as_str() {
        "no" => Supervised::No,
        "auto" => Supervised::Auto,
        "systemd" => Supervised::Systemd,
        "upstart" => {
            draft.note("'supervised upstart' has no effect here: only systemd is told of the start");
            Supervised::No
        }
        _ => return Err(format!("{} is not a supervisor; expected no, auto or systemd", shown(&args[0]))),
    };
    Ok(())
}

fn pubsub_default(draft: &mut Draft, args: &[String]) -> Result<(), Problem> {
    draft.resp.acl.all_channels_by_default = match args[0].to_ascii_lowercase().as_str() {
        "allchannels" => true,
        "resetchannels" => false,
        _ => return Err(format!("{} is neither allchannels nor resetchannels", shown(&args[0]))),
    };
    Ok(())
}

fn unix_permissions(draft: &mut Draft, args: &[String]) -> Result<(), Problem> {
    let mode = u32::from_str_radix(&args[0], 8).ok().filter(|mode| *mode <= 0o777);
    draft.unix_mode = Some(mode.ok_or_else(|| format!("{} is not a mode; expected octal digits up to 777", shown(&args[0])))?);
    Ok(())
}

/// The rows of the directives that have no meaning for a sentinel.
pub(super) fn ignored() -> impl Iterator<Item = Directive> {
    IGNORED.iter().flat_map(|(why, args, names)| {
        names.split_ascii_whitespace().map(|name| Directive { name, args: *args, stage: Stage::Process, treatment: Treatment::Ignore(why) })
    })
}

const DATA: &str = "a sentinel holds no data";
const REPLICATION: &str = "a sentinel does not replicate; groups are named by 'sentinel monitor'";
const PROCESS: &str = "raft-sentinel does not do this";
const DEBUG: &str = "it is an aid for testing Redis itself";

/// Accepted and without effect: why, how many arguments, which.
static IGNORED: &[(&str, Args, &str)] = &[
    (
        DATA,
        Args::exactly(1),
        "active-defrag-cycle-max active-defrag-cycle-min active-defrag-cycle-us active-defrag-ignore-bytes active-defrag-max-scan-fields
        active-defrag-threshold-lower active-defrag-threshold-upper active-expire-effort activedefrag activerehashing
        aof-disable-auto-gc aof-load-truncated aof-rewrite-incremental-fsync aof-timestamp-enabled aof-use-rdb-preamble appenddirname
        appendfilename appendfsync appendonly auto-aof-rewrite-min-size auto-aof-rewrite-percentage databases dbfilename
        dynamic-hz hash-max-listpack-entries hash-max-listpack-value hash-max-ziplist-entries hash-max-ziplist-value
        hll-sparse-max-bytes import-mode key-load-delay lazyfree-lazy-eviction lazyfree-lazy-expire lazyfree-lazy-server-del
        lazyfree-lazy-user-del lazyfree-lazy-user-flush lfu-decay-time lfu-log-factor list-compress-depth list-max-listpack-size
        list-max-ziplist-entries list-max-ziplist-size list-max-ziplist-value loading-process-events-interval-bytes lua-time-limit
        busy-reply-threshold lua-enable-insecure-api lua-enable-deprecated-api maxmemory maxmemory-clients
        maxmemory-eviction-tenacity maxmemory-policy maxmemory-samples no-appendfsync-on-rewrite notify-keyspace-events
        propagation-error-behavior rdb-del-sync-files rdb-key-save-delay rdb-save-incremental-fsync rdb-version-check rdbchecksum
        rdbcompression sanitize-dump-payload set-max-intset-entries set-max-listpack-entries set-max-listpack-value
        shutdown-timeout stop-writes-on-bgsave-error stream-node-max-bytes stream-node-max-entries tracking-table-max-keys
        zset-max-listpack-entries zset-max-listpack-value zset-max-ziplist-entries zset-max-ziplist-value",
    ),
    (DATA, Args::at_least(1), "save"),
    (
        REPLICATION,
        Args::exactly(1),
        "close-on-replica-write close-on-slave-write dual-channel-replication-enabled
        min-replicas-max-lag min-replicas-to-write min-slaves-max-lag min-slaves-to-write repl-backlog-size
        repl-backlog-ttl repl-disable-tcp-nodelay repl-diskless-load repl-diskless-sync repl-diskless-sync-delay
        repl-diskless-sync-max-replicas repl-diskless-sync-period repl-ping-replica-period repl-ping-slave-period repl-timeout
        replica-announce-ip replica-announce-port replica-announced replica-ignore-disk-write-errors replica-ignore-maxmemory
        replica-lazy-flush replica-priority replica-read-only replica-serve-stale-data slave-announce-ip slave-announce-port
        slave-ignore-maxmemory slave-lazy-flush slave-priority slave-read-only slave-serve-stale-data",
    ),
    (REPLICATION, Args::exactly(2), "replicaof slaveof"),
    (
        "the data nodes' credentials are 'sentinel auth-user' and 'sentinel auth-pass'",
        Args::exactly(1),
        "masterauth masteruser primaryauth primaryuser",
    ),
    (
        "a sentinel is not part of a Redis Cluster",
        Args::exactly(1),
        "cluster-allow-pubsubshard-when-down cluster-allow-reads-when-down cluster-allow-replica-migration cluster-announce-bus-port
        cluster-announce-client-ipv4 cluster-announce-client-ipv6 cluster-announce-hostname cluster-announce-human-nodename
        cluster-announce-ip cluster-announce-port cluster-announce-tls-port cluster-blacklist-ttl cluster-config-file
        cluster-enabled cluster-link-sendbuf-limit cluster-manual-failover-timeout cluster-migration-barrier cluster-node-timeout
        cluster-ping-interval cluster-port cluster-preferred-endpoint-type cluster-replica-no-failover
        cluster-replica-validity-factor cluster-require-full-coverage cluster-slave-no-failover cluster-slave-validity-factor
        cluster-slot-stats-enabled",
    ),
    (
        PROCESS,
        Args::exactly(1),
        "always-show-logo aof-rewrite-cpulist aof_rewrite_cpulist availability-zone bgsave-cpulist bgsave_cpulist bio-cpulist
        bio_cpulist client-query-buffer-limit commandlog-execution-slower-than commandlog-large-reply-max-len
        commandlog-large-request-max-len commandlog-reply-larger-than commandlog-request-larger-than commandlog-slow-execution-max-len
        crash-log-enabled crash-memcheck-enabled debug-context disable-thp
        events-per-io-thread extended-redis-compatibility hide-user-data-from-log hz ignore-warnings io-threads
        io-threads-do-reads io-threads-do-writes jemalloc-bg-thread latency-monitor-threshold latency-tracking locale-collate
        log-format log-timestamp-format max-new-connections-per-cycle max-new-tls-connections-per-cycle oom-score-adj
        prefetch-batch-max-size proc-title-template proto-max-bulk-len server-cpulist server_cpulist set-proc-title
        slowlog-log-slower-than slowlog-max-len socket-mark-id",
    ),
    ("this release logs to standard output or to logfile", Args::exactly(1), "syslog-enabled syslog-facility syslog-ident"),
    (PROCESS, Args::at_least(0), "latency-tracking-info-percentiles"),
    (PROCESS, Args::exactly(3), "oom-score-adj-values"),
    (PROCESS, Args::at_least(1), "client-output-buffer-limit shutdown-on-sigint shutdown-on-sigterm"),
    ("there is nothing of that kind to tune in this TLS library", Args::exactly(1), "tls-dh-params-file tls-session-cache-timeout"),
    ("a sentinel is not part of a Redis Cluster", Args::exactly(1), "tls-cluster"),
    (DEBUG, Args::exactly(1), "enable-debug-assert enable-debug-command enable-module-command enable-protected-configs"),
];
