//! `sentinel ...`, in stock's spelling and in Valkey's.

use super::{Args, Directive, Stage, Treatment};
use crate::base::GroupSeed;
use crate::base::places::Place;
use crate::base::settings::PromotionPolicy;
use crate::base::{Addr, Epoch, GroupName, GroupSettings, Secret, SentinelId, limits};
use crate::conf::choices::NoQuorumReply;
use crate::conf::draft::Draft;
use crate::conf::options;
use crate::conf::value::{Problem, is_host, is_ip, optional, shown, whole, yes_no};

pub(super) static ROWS: &[Directive] = &[
    // About all groups.
    all("sentinel announce-ip", announce_ip),
    all("sentinel announce-port", |draft, args| {
        draft.sentinel.announce_port = Some(whole(&args[0], &(0..=65535))?).filter(|port| *port != 0);
        Ok(())
    }),
    all("sentinel resolve-hostnames", |draft, args| {
        draft.sentinel.resolve_hostnames = asked(&args[0], "Please specify yes or no for the resolve-hostnames option.")?;
        Ok(())
    }),
    all("sentinel announce-hostnames", |draft, args| {
        draft.sentinel.announce_hostnames = asked(&args[0], "Please specify yes or no for the announce-hostnames option.")?;
        Ok(())
    }),
    all("sentinel deny-scripts-reconfig", |draft, args| {
        draft.sentinel.deny_scripts_reconfig = asked(&args[0], "Please specify yes or no for the deny-scripts-reconfig options.")?;
        Ok(())
    }),
    all("sentinel deny-rename-reconfig", |draft, args| {
        draft.sentinel.deny_rename_reconfig = yes_no(&args[0])?;
        Ok(())
    }),
    Directive {
        args: Args::at_least(1),
        ..all("sentinel webhook-allow", |draft, args| read_places(&mut draft.sentinel.webhook_places, args))
    },
    all("sentinel stale-answers", |draft, args| {
        draft.sentinel.stale_answers = asked(&args[0], "Please specify yes or no for the stale-answers option.")?;
        Ok(())
    }),
    all("sentinel no-quorum-reply", |draft, args| {
        let expected = || format!("{} is neither nil nor error nor close", shown(&args[0]));
        draft.sentinel.no_quorum_reply = NoQuorumReply::from_word(&args[0]).ok_or_else(expected)?;
        Ok(())
    }),
    all("sentinel default-promotion-policy", |draft, args| {
        let expected = || format!("{} is not a policy; expected auto, strict or available", shown(&args[0]));
        draft.sentinel.default_promotion_policy = PromotionPolicy::from_word(&args[0]).ok_or_else(expected)?;
        Ok(())
    }),
    all("sentinel shadow", |draft, args| {
        draft.sentinel.shadow = yes_no(&args[0])?;
        Ok(())
    }),
    all("sentinel sentinel-user", |draft, args| {
        draft.sentinel.credentials.user = optional(&args[0]);
        draft.note_once("sentinel sentinel-user", NO_SENTINEL_AUTH);
        Ok(())
    }),
    all("sentinel sentinel-pass", |draft, args| {
        draft.sentinel.credentials.pass = optional(&args[0]).map(Secret::new);
        draft.note_once("sentinel sentinel-pass", NO_SENTINEL_AUTH);
        Ok(())
    }),
    Directive {
        args: Args::at_least(1),
        ..all("sentinel foreign-sentinels", |draft, args| read_places(&mut draft.sentinel.foreign.listed, args))
    },
    all("sentinel current-epoch", |draft, args| {
        draft.sentinel.current_epoch_seed = draft.sentinel.current_epoch_seed.max(epoch(&args[0])?);
        Ok(())
    }),
    all("sentinel myid", my_id),
    // The groups.
    Directive { args: Args::exactly(4), stage: Stage::Monitor, ..all("sentinel monitor", monitor) },
    // About one group: its options.
    option("sentinel down-after-milliseconds", 2),
    option("sentinel crash-down-after-milliseconds", 2),
    option("sentinel failover-timeout", 2),
    option("sentinel parallel-syncs", 2),
    option("sentinel master-reboot-down-after-period", 2),
    option("sentinel primary-reboot-down-after-period", 2),
    option("sentinel auth-user", 2),
    option("sentinel auth-pass", 2),
    option("sentinel promotion-policy", 2),
    option("sentinel fence-max-lag", 2),
    option("sentinel replica-forget-after", 2),
    option("sentinel replicas-fixed", 2),
    option("sentinel max-replicas", 2),
    option("sentinel notification-script", 2),
    option("sentinel client-reconfig-script", 2),
    option("sentinel notification-webhook", 2),
    option("sentinel rename-command", 3),
    // About one group: what a stock Sentinel had found.
    state("sentinel config-epoch", 2, config_epoch),
    state("sentinel leader-epoch", 2, |draft, args| {
        draft.group(&args[0])?;
        epoch(&args[1])?;
        draft.note_once("sentinel leader-epoch", "'sentinel leader-epoch' has no effect here: votes are in the Raft log");
        Ok(())
    }),
    state("sentinel known-replica", 3, known_replica),
    state("sentinel known-slave", 3, known_replica),
    Directive { args: Args::from_to(3, 4), ..state("sentinel known-sentinel", 3, known_sentinel) },
];

const NO_SENTINEL_AUTH: &str = "'sentinel sentinel-user' and 'sentinel sentinel-pass' are shown to stock sentinels only, and only where \
     'sentinel foreign-sentinels' or 'sentinel known-sentinel' names them: the sentinels of this cluster talk to each other on the Raft port, protected by 'raft tls', not \
     by a password";

const fn all(name: &'static str, handler: fn(&mut Draft, &[String]) -> Result<(), Problem>) -> Directive {
    Directive { name, args: Args::exactly(1), stage: Stage::AllGroups, treatment: Treatment::Use(handler) }
}

const fn option(name: &'static str, args: usize) -> Directive {
    Directive { name, args: Args::exactly(args), stage: Stage::OneGroup, treatment: Treatment::GroupOption }
}

const fn state(name: &'static str, args: usize, handler: fn(&mut Draft, &[String]) -> Result<(), Problem>) -> Directive {
    Directive { name, args: Args::exactly(args), stage: Stage::OneGroup, treatment: Treatment::Use(handler) }
}

/// A yes or no, with stock's complaint before ours.
fn asked(word: &str, stock: &str) -> Result<bool, Problem> {
    yes_no(word).map_err(|problem| format!("{stock} {problem}"))
}

/// A list of places, on one line or several; `none` is nowhere.
fn read_places(list: &mut Option<Vec<Place>>, args: &[String]) -> Result<(), Problem> {
    let listed = list.get_or_insert_default();
    match args {
        [none] if none.eq_ignore_ascii_case("none") => listed.clear(),
        places => {
            for word in places {
                listed.push(word.parse().map_err(|bad| format!("{} is no place in a network; {bad}, or none", shown(word)))?);
            }
        }
    }
    Ok(())
}

fn epoch(word: &str) -> Result<Epoch, Problem> {
    // Epochs only grow, so the largest numbers are left free to grow into.
    whole(word, &(0..=u64::MAX >> 1)).map(Epoch)
}

fn announce_ip(draft: &mut Draft, args: &[String]) -> Result<(), Problem> {
    // An empty one changes nothing when a file is loaded; stock does the same.
    if let Some(host) = optional(&args[0]) {
        if !is_host(&host) || host.contains('*') {
            return Err(format!("{} is not an address to announce; expected an IP address or a host name", shown(&host)));
        }
        draft.sentinel.announce_ip = Some(host);
    }
    Ok(())
}

fn my_id(draft: &mut Draft, args: &[String]) -> Result<(), Problem> {
    // Stock checks the length only, but clients take the id for 40 hex characters.
    if args[0].len() != 40 || !args[0].bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!("Malformed Sentinel id in myid option. {} is not 40 hex characters", shown(&args[0])));
    }
    draft.sentinel.id_seed = Some(SentinelId::new(args[0].to_ascii_lowercase()).map_err(|problem| problem.to_string())?);
    Ok(())
}

/// `sentinel monitor <name> <host> <port> <quorum>`.
fn monitor(draft: &mut Draft, args: &[String]) -> Result<(), Problem> {
    let name = GroupName::new(args[0].as_str()).map_err(|_| {
        format!("{} cannot name a master; expected 1 to 128 characters without blanks, commas or control characters", shown(&args[0]))
    })?;
    let quorum = options::quorum(&args[3])?;
    if draft.has_group(&name) {
        return Err(format!("Duplicate master name. {} is monitored twice", shown(&args[0])));
    }
    if draft.group_count() == limits::GROUPS {
        return Err(format!("too many masters; at most {} can be monitored", limits::GROUPS));
    }
    let master = data_node(draft, &args[1], &args[2])?;
    let promotion_policy = draft.sentinel.default_promotion_policy;
    let settings = GroupSettings { quorum, promotion_policy, ..GroupSettings::default() };
    draft.add_group(GroupSeed { name, master, settings, replicas: Vec::new(), epoch: Epoch(0) });
    Ok(())
}

/// Names are not looked up here, only allowed or not: what a name means may change until somebody connects.
fn data_node(draft: &Draft, host: &str, port: &str) -> Result<Addr, Problem> {
    let host_fits = is_ip(host) || (draft.sentinel.resolve_hostnames && is_host(host) && !host.contains('*'));
    if !host_fits {
        return Err(format!(
            "Can't resolve instance hostname. {} is not an IP address; a host name needs 'sentinel resolve-hostnames yes'",
            shown(host)
        ));
    }
    // Stock accepts port 0 and then never connects.
    let port = whole(port, &(1..=65535_u16)).map_err(|problem| format!("Invalid port number. {problem}"))?;
    Addr::new(host, port).map_err(|problem| problem.to_string())
}

fn config_epoch(draft: &mut Draft, args: &[String]) -> Result<(), Problem> {
    let epoch = epoch(&args[1])?;
    draft.group(&args[0])?.epoch = epoch;
    draft.sentinel.current_epoch_seed = draft.sentinel.current_epoch_seed.max(epoch);
    Ok(())
}

fn known_replica(draft: &mut Draft, args: &[String]) -> Result<(), Problem> {
    let replica = data_node(draft, &args[1], &args[2])?;
    if draft.group(&args[0])?.replicas.contains(&replica) {
        // Stock's own rewriting has left such lines behind.
        draft.note(format!("{} is said twice: the second line has no effect", shown(&replica.to_string())));
        return Ok(());
    }
    let replicas = &mut draft.group(&args[0])?.replicas;
    if replicas.len() == limits::REPLICAS_PER_GROUP {
        return Err(format!("too many replicas; a master may have at most {}", limits::REPLICAS_PER_GROUP));
    }
    replicas.push(replica);
    Ok(())
}

/// Members of the Raft group are named by `raft peer`; an old neighbour only helps to write that advice.
fn known_sentinel(draft: &mut Draft, args: &[String]) -> Result<(), Problem> {
    draft.group(&args[0])?;
    let port = whole(&args[2], &(0..=65535_u16)).map_err(|problem| format!("Invalid port number. {problem}"))?;
    let sentinel = Addr::new(args[1].as_str(), port).map_err(|problem| problem.to_string())?;
    draft.note_neighbour(sentinel.clone());
    draft.sentinel.foreign.known.push(sentinel);
    draft.note_once(
        "sentinel known-sentinel",
        "'sentinel known-sentinel' makes no member here: those are named by 'raft peer'. It names a stock sentinel to which 'sentinel-pass' may be shown",
    );
    Ok(())
}
