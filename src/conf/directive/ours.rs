//! What stock Sentinel does not know: the Raft group, gRPC and HTTP.

use std::path::PathBuf;

use super::{Args, Directive, Stage, Treatment};
use crate::base::{ClusterId, NodeId};
use crate::conf::draft::{Draft, Grpc};
use crate::conf::settings::{CertificateUser, Connections, Listen};
use crate::conf::value::{Problem, listening_addr, optional, reachable_addr, shown, whole, yes_no};

/// Longest span that a Raft timer may have, in milliseconds.
const TIMER_MS: u64 = 60_000;
/// Most connections that a port may be given.
const CONNECTIONS: usize = 1_000_000;

pub(super) static ROWS: &[Directive] = &[
    row("raft node-id", 1, |draft, args| {
        draft.raft.node_id = Some(node_id(&args[0])?);
        Ok(())
    }),
    row("raft listen", 1, |draft, args| {
        draft.raft.listen = Some(listening_addr(&args[0])?);
        Ok(())
    }),
    row("raft advertise", 1, |draft, args| {
        draft.raft.advertise = Some(reachable_addr(&args[0])?);
        Ok(())
    }),
    row("raft peer", 2, |draft, args| draft.raft.add_peer(node_id(&args[0])?, reachable_addr(&args[1])?)),
    row("raft cluster-id", 1, |draft, args| {
        draft.raft.cluster_id = Some(cluster_id(&args[0])?);
        Ok(())
    }),
    row("raft secret-file", 1, |draft, args| {
        draft.raft.secret_file = optional(&args[0]).map(PathBuf::from);
        Ok(())
    }),
    row("raft insecure", 1, |draft, args| {
        draft.raft.insecure = yes_no(&args[0])?;
        Ok(())
    }),
    row("raft tls", 1, |draft, args| {
        draft.raft.tls = yes_no(&args[0])?;
        Ok(())
    }),
    Directive {
        args: Args::at_least(1),
        ..row("raft tls-allowed-names", 1, |draft, args| {
            draft.raft.tls_allowed_names = args.iter().map(|name| certificate_name(name)).collect::<Result<_, _>>()?;
            Ok(())
        })
    },
    row("raft tls-ca-cert-file", 1, |draft, args| {
        draft.raft.tls_ca_file = optional(&args[0]).map(PathBuf::from);
        Ok(())
    }),
    row("raft heartbeat-ms", 1, |draft, args| {
        draft.raft.heartbeat_ms = whole(&args[0], &(5..=TIMER_MS))?;
        Ok(())
    }),
    row("raft election-timeout-ms", 2, election_timeout),
    row("grpc listen", 1, grpc_listen),
    row("grpc tls", 1, |draft, args| {
        draft.grpc_tls = yes_no(&args[0])?;
        Ok(())
    }),
    row("grpc connections", 1, |draft, args| connections(&mut draft.connections.grpc.most, &args[0])),
    row("grpc connections-per-address", 1, |draft, args| per_address(&mut draft.connections.grpc, &args[0])),
    row("http connections", 1, |draft, args| connections(&mut draft.connections.http.most, &args[0])),
    row("http connections-per-address", 1, |draft, args| per_address(&mut draft.connections.http, &args[0])),
    row("sentinel clients-per-address", 1, |draft, args| per_address(&mut draft.connections.resp, &args[0])),
    row("grpc tls-ca-cert-file", 1, |draft, args| {
        draft.grpc_ca_file = optional(&args[0]).map(PathBuf::from);
        Ok(())
    }),
    row("grpc tls-auth-user", 1, |draft, args| {
        draft.grpc_access.certificate_user = match args[0].to_ascii_lowercase().as_str() {
            "no" => CertificateUser::No,
            "cn" => CertificateUser::Cn,
            "san" => CertificateUser::San,
            _ => return Err(format!("{} is neither no nor cn nor san", shown(&args[0]))),
        };
        Ok(())
    }),
    row("grpc admin-without-password", 1, |draft, args| {
        draft.grpc_access.admin_without_password = yes_no(&args[0])?;
        Ok(())
    }),
    row("grpc admin-with-any-certificate", 1, |draft, args| {
        draft.grpc_access.admin_with_any_certificate = yes_no(&args[0])?;
        Ok(())
    }),
    row("http listen", 1, |draft, args| {
        draft.http = if args[0].eq_ignore_ascii_case("off") { None } else { Some(listening_addr(&args[0])?) };
        Ok(())
    }),
];

const fn row(name: &'static str, args: usize, handler: fn(&mut Draft, &[String]) -> Result<(), Problem>) -> Directive {
    Directive { name, args: Args::exactly(args), stage: Stage::Process, treatment: Treatment::Use(handler) }
}

fn connections(most: &mut usize, word: &str) -> Result<(), Problem> {
    *most = whole(word, &(1..=CONNECTIONS))?;
    Ok(())
}

fn per_address(connections: &mut Connections, word: &str) -> Result<(), Problem> {
    connections.per_address = Some(whole(word, &(1..=CONNECTIONS))?);
    Ok(())
}

fn node_id(word: &str) -> Result<NodeId, Problem> {
    whole(word, &(1..=u64::MAX)).map(NodeId).map_err(|_| format!("{} is not a node id; expected a whole number from 1 up", shown(word)))
}

/// A name in a certificate, or `*.` and the end of one.
fn certificate_name(word: &str) -> Result<String, Problem> {
    let bare = word.strip_prefix("*.").unwrap_or(word);
    let fits = (1..=255).contains(&bare.len()) && bare.chars().all(|letter| letter != '*' && !letter.is_control());
    fits.then(|| word.to_owned())
        .ok_or_else(|| format!("{} is not a name; expected one as in a certificate, or '*.' and a domain", shown(word)))
}

fn cluster_id(word: &str) -> Result<ClusterId, Problem> {
    let fits = (1..=64).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_graphic());
    ClusterId::new(word)
        .ok()
        .filter(|_| fits)
        .ok_or_else(|| format!("{} is not a cluster id; expected 1 to 64 printable ASCII characters", shown(word)))
}

fn election_timeout(draft: &mut Draft, args: &[String]) -> Result<(), Problem> {
    let (min, max) = (whole(&args[0], &(10..=TIMER_MS))?, whole(&args[1], &(10..=TIMER_MS))?);
    if min >= max {
        return Err(format!("the shortest election timeout ({min} ms) must be less than the longest ({max} ms)"));
    }
    draft.raft.election_timeout_ms = (min, max);
    Ok(())
}

/// `grpc listen host:port`, repeatable; `grpc listen off` takes back what was said before it.
fn grpc_listen(draft: &mut Draft, args: &[String]) -> Result<(), Problem> {
    if args[0].eq_ignore_ascii_case("off") {
        draft.grpc = Grpc::Off;
        return Ok(());
    }
    let listen = Listen { addr: listening_addr(&args[0])?, optional: false };
    match &mut draft.grpc {
        Grpc::At(known) if known.contains(&listen) => return Err(format!("grpc listen {} is said twice", shown(&args[0]))),
        Grpc::At(known) => known.push(listen),
        Grpc::Default | Grpc::Off => draft.grpc = Grpc::At(vec![listen]),
    }
    Ok(())
}
