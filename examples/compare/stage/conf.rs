//! Configuration files: the same words for every product, but for those that say who the sentinels are.

use std::net::SocketAddr;
use std::path::Path;

use super::member::{Program, folder};
use super::{Ground, Group, Member, Place, Spec, TRIO};
use crate::kit::process::find_program;
use crate::kit::sentinel::{SECRET, write_secret};

const QUORUM: usize = 2;
const DATA_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;
const RAFT_PORT: u16 = 27379;
const GRPC_PORT: u16 = 28379;

/// Starts the data nodes of one group.
pub(super) fn start_group(spec: &Spec, ground: &Ground, root: &Path, number: usize) -> anyhow::Result<Group> {
    let name = if spec.groups == 1 { "mymaster".to_owned() } else { format!("group-{:02}", number + 1) };
    let mut nodes: Vec<Member> = Vec::new();
    for place_number in 0..TRIO {
        let place = ground.of_data(place_number);
        let usual = DATA_PORT + u16::try_from(number).unwrap_or(0);
        let addr = SocketAddr::new(place.ip(), place.port(usual));
        let node = format!("{name}-{}", node_letter(place_number));
        let mut lines = vec![
            format!("port {}", addr.port()),
            format!("bind {}", addr.ip()),
            "protected-mode no".to_owned(),
            format!("dir {}", folder(root, &node)?.display()),
            "save \"\"".to_owned(),
            "appendonly no".to_owned(),
            "repl-diskless-sync-delay 0".to_owned(),
        ];
        if let Some(master) = nodes.first() {
            lines.push(format!("replicaof {} {}", master.addr.ip(), master.addr.port()));
            lines.push(format!("replica-priority {}", spec.priorities[place_number - 1]));
        }
        let program = find_program("redis-server", "sh scripts/need redis-server");
        let run = Program { program, arguments: Vec::new(), config: lines.join("\n") + "\n", admin: None };
        nodes.push(Member::start(node, root, &place, addr, &run)?);
    }
    Ok(Group { name, nodes })
}

/// The letter that a data node has in every report: A is the first master.
pub(crate) fn node_letter(number: usize) -> char {
    char::from(b'A' + u8::try_from(number).unwrap_or(25))
}

/// Starts all sentinels.
pub(super) fn start_sentinels(spec: &Spec, ground: &Ground, root: &Path, groups: &[Group]) -> anyhow::Result<Vec<Member>> {
    let places: Vec<Place> = (0..TRIO).map(|number| ground.of_sentinel(number)).collect();
    let addr = |usual: u16| places.iter().map(|place| SocketAddr::new(place.ip(), place.port(usual))).collect::<Vec<_>>();
    let (clients, peers, grpc) = (addr(SENTINEL_PORT), addr(RAFT_PORT), addr(GRPC_PORT));
    let mut sentinels = Vec::new();
    for (number, place) in places.into_iter().enumerate() {
        let name = format!("sentinel-{}", number + 1);
        let mut lines = vec![
            format!("port {}", clients[number].port()),
            format!("bind {}", clients[number].ip()),
            "protected-mode no".to_owned(),
            format!("dir {}", folder(root, &name)?.display()),
        ];
        if spec.product.is_ours() {
            lines.push(format!("raft node-id {}", number + 1));
            lines.push(format!("raft listen {}", peers[number]));
            lines.extend((1..).zip(&peers).map(|(id, peer)| format!("raft peer {id} {peer}")));
            lines.push(format!("grpc listen {}", grpc[number]));
            lines.push(format!("raft secret-file {}", write_secret(&folder(root, &name)?.join("secret"), &[SECRET]).display()));
        }
        lines.extend(groups.iter().flat_map(|group| group_lines(spec, group)));
        let arguments = if spec.product.is_ours() { vec!["serve".to_owned()] } else { Vec::new() };
        let admin = spec.product.is_ours().then(|| grpc[number]);
        let run = Program { program: spec.product.program(), arguments, config: lines.join("\n") + "\n", admin };
        sentinels.push(Member::start(name, root, &place, clients[number], &run)?);
    }
    Ok(sentinels)
}

fn group_lines(spec: &Spec, group: &Group) -> Vec<String> {
    let (name, master) = (&group.name, group.nodes[0].addr);
    let mut lines = vec![
        format!("sentinel monitor {name} {} {} {QUORUM}", master.ip(), master.port()),
        format!("sentinel down-after-milliseconds {name} {}", spec.down_after_ms),
        format!("sentinel failover-timeout {name} {}", spec.failover_timeout_ms),
    ];
    lines.extend(spec.product.group_lines(name));
    lines
}
