//! What no single line can get wrong: how the settings fit each other.

use super::draft::{Draft, Grpc};
use super::place::{Note, Place};
use super::proof::{self, is_loopback};
use super::settings::{CertificateUser, Config, Listen};
use super::value::{Problem, is_wildcard};
use crate::base::places::is_same;
use crate::base::{Addr, ClientCertificates, GroupSeed};

/// How far the gRPC port is from the SENTINEL port where it is not said.
const GRPC_PORT_OFFSET: u16 = 2000;

/// Where gRPC clients ask.
pub(super) fn grpc_listen(draft: &Draft) -> Result<Vec<Listen>, Problem> {
    match &draft.grpc {
        Grpc::Off => Ok(Vec::new()),
        Grpc::At(listen) => Ok(listen.clone()),
        Grpc::Default => match (draft.main_port(), draft.main_port().checked_add(GRPC_PORT_OFFSET)) {
            (0, _) => Err("port is 0, so 'grpc listen <host:port>' (or 'grpc listen off') has to be said".to_owned()),
            (port, None) => {
                Err(format!("port {port} leaves no room for the gRPC port {GRPC_PORT_OFFSET} above it: add 'grpc listen <host:port>'"))
            }
            (_, Some(port)) => Ok(draft.resp.listen_at(port)),
        },
    }
}

/// Refuses two listeners that cannot both have their port.
pub(super) fn check_ports(config: &Config) -> Result<(), Problem> {
    let mut listeners: Vec<(&str, Addr)> = Vec::new();
    listeners.extend(config.resp.listen().into_iter().map(|listen| ("port/bind", listen.addr)));
    listeners.extend(config.resp.tls_listen().into_iter().map(|listen| ("tls-port/bind", listen.addr)));
    listeners.extend(config.grpc_listen.iter().map(|listen| ("grpc listen", listen.addr.clone())));
    listeners.push(("raft listen", config.raft.listen.clone()));
    listeners.extend(config.http_listen.iter().map(|addr| ("http listen", addr.clone())));
    for (index, (what, addr)) in listeners.iter().enumerate() {
        if let Some((other, known)) = listeners[..index].iter().find(|(other, known)| clash(known, addr, other == what)) {
            return Err(format!("'{what}' {addr} clashes with '{other}' {known}: each needs a port of its own"));
        }
    }
    Ok(())
}

/// Listeners of one kind may take all of IPv4 and all of IPv6 apart; of different kinds, better not.
fn clash(a: &Addr, b: &Addr, same_kind: bool) -> bool {
    let same_family = a.host().contains(':') == b.host().contains(':');
    a.port() == b.port() && (a.host() == b.host() || ((is_wildcard(a.host()) || is_wildcard(b.host())) && (same_family || !same_kind)))
}

/// What is allowed but probably not meant.
pub(super) fn notes(config: &Config, main: &Place, groups: &[Place]) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut note = |place: &Place, text: String| notes.push(Note { place: place.clone(), text });
    let raft = &config.raft;
    let peers = raft.peers.len();
    if peers > 1 && peers.is_multiple_of(2) {
        note(main, format!("{peers} raft peers survive no more losses than {} would: use an odd number", peers - 1));
    }
    if raft.peers.get(&raft.node_id).is_some_and(|own| *own != raft.advertise) {
        note(
            main,
            format!("raft advertise {} is not what 'raft peer {}' says: the others start with the latter", raft.advertise, raft.node_id),
        );
    }
    proof::notes(raft).into_iter().for_each(|text| note(main, text));
    let remote = raft.peers.iter().any(|(id, addr)| *id != raft.node_id && !is_loopback(addr));
    if remote && config.tls_replication && !raft.tls && raft.secret_file.is_none() {
        let text = "tls-replication encrypts what is said to the data nodes; what sentinels say to each other is in clear text: \
                    add 'raft secret-file' or 'raft tls yes' on all of them";
        note(main, text.to_owned());
    }
    if config.grpc_listen.is_empty() {
        note(main, "gRPC is off: the operators' commands cannot reach this sentinel".to_owned());
    }
    grpc_notes(config, |text| note(main, text));
    for (place, group) in groups.iter().zip(&config.groups) {
        let (name, quorum) = (&group.name, group.settings.quorum);
        if let Some(nowhere) = std::iter::once(&group.master).chain(&group.replicas).find(|addr| is_wildcard(addr.host())) {
            note(
                place,
                format!("{nowhere} of {name} is no server's address: each sentinel would watch its own host; name the server's own"),
            );
        }
        if let Some(why) = shared_servers(&config.groups, group) {
            note(place, why);
        }
        if quorum as usize > peers {
            note(place, format!("the quorum of {name} is {quorum}, but there are {peers} raft peers: no failover will ever start"));
        }
        let same = |other: &&GroupSeed| other.name != *name && is_same(&other.master, &group.master);
        if let Some(other) = config.groups.iter().take_while(|other| other.name != *name).find(same) {
            note(
                place,
                format!(
                    "{name} and {} have the same master {}: {name} only follows what {} does; remove one of the two",
                    other.name, group.master, other.name
                ),
            );
        }
        if group.settings.crash_down_after_ms >= group.settings.down_after_ms {
            note(place, format!("crash-down-after-milliseconds of {name} has no effect: down-after-milliseconds is not longer"));
        }
        if remote && is_loopback(&group.master) {
            note(
                place,
                format!("the master of {name} is {}, but there are sentinels on other hosts: each would watch its own host", group.master),
            );
        }
    }
    notes
}

/// Servers that an earlier group has as well, its master aside.
fn shared_servers(groups: &[GroupSeed], group: &GroupSeed) -> Option<String> {
    let nodes = |seed: &GroupSeed| std::iter::once(seed.master.clone()).chain(seed.replicas.clone()).collect::<Vec<_>>();
    let earlier = groups.iter().take_while(|other| other.name != group.name).filter(|other| !is_same(&other.master, &group.master));
    earlier
        .filter_map(|other| {
            let shared = nodes(group).into_iter().find(|node| nodes(other).iter().any(|known| is_same(known, node)))?;
            let (name, first) = (&group.name, &other.name);
            Some(format!(
                "{shared} is a server of {name} and of {first}: {first} acts on it, and {name} leaves it alone; give each its own servers"
            ))
        })
        .next()
}

/// What should be known of who may ask and change over gRPC.
fn grpc_notes(config: &Config, mut note: impl FnMut(String)) {
    let Some(open) = config.grpc_listen.iter().find(|listen| !is_loopback(&listen.addr)) else { return };
    let (access, password) = (&config.grpc_access, config.resp.asks_for_password());
    if access.admin_without_password && !password {
        note(format!(
            "grpc admin-without-password yes: EVERYBODY who reaches {} may change masters, members and settings; keep it in a closed network, or set \
             requirepass or users",
            open.addr
        ));
    }
    if access.admin_with_any_certificate && config.grpc_tls {
        note(format!(
            "grpc admin-with-any-certificate yes: every certificate of the authority, an application's as well, may change masters, members and settings \
             at {}",
            open.addr
        ));
    }
    if access.certificate_user != CertificateUser::No && (!config.grpc_tls || config.tls.clients == ClientCertificates::Unasked) {
        note("grpc tls-auth-user has no effect: gRPC clients are not asked for certificates (grpc tls yes, tls-auth-clients)".to_owned());
    }
    if password && !config.grpc_tls {
        note(format!(
            "passwords are said in clear text on the gRPC port {}: encrypt it (grpc tls yes), or keep it in a trusted network",
            open.addr
        ));
    }
}
