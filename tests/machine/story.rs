//! Runs the stories in `tests/machine/script`: what is said, a line `----`, and what came of it.
//!
//! `UPDATE_STORIES=1 cargo test --test machine` writes what came of it into the files; review the difference.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use raft_sentinel::base::settings::SettingChange;
use raft_sentinel::base::{Addr, Epoch, GroupName, GroupSettings, LogIndex, NodeId, ReplId, RunId, WallTime};
use raft_sentinel::machine::ChosenFor;
use raft_sentinel::machine::command::Origin;
use raft_sentinel::machine::{
    AbortReason, Candidate, Choice, Command, DownEvidence, Event, Evidence, FailoverId, FailoverMode, FencingProof, Identity, Ineligible,
    Outcome, Phase, Retirement, ShadowEntry, ShadowEvent, State, StockWord, Tenure, invariants,
};

#[test]
fn stories_come_out_as_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machine/script");
    let mut stories: Vec<PathBuf> = std::fs::read_dir(folder).expect("the stories").map(|entry| entry.expect("a story").path()).collect();
    stories.sort();
    assert!(!stories.is_empty());
    for path in stories {
        let told = std::fs::read_to_string(&path).expect("a readable story");
        let came_out = retell(&told);
        if std::env::var_os("UPDATE_STORIES").is_some() {
            std::fs::write(&path, came_out).expect("a writable story");
        } else {
            assert_eq!(came_out, told, "{} came out otherwise", path.display());
        }
    }
}

/// Runs a story and returns it with what really came of each block.
fn retell(told: &str) -> String {
    let mut world = World::default();
    let mut out = String::new();
    for block in told.trim_end().split("\n\n") {
        let said = block.split("\n----").next().unwrap_or(block);
        if said.lines().all(|line| line.starts_with('#')) {
            let _ = writeln!(out, "{said}\n");
            continue;
        }
        let answers: String = said.lines().filter(|line| !line.starts_with('#')).map(|line| world.say(line)).collect();
        let _ = writeln!(out, "{said}\n----\n{answers}");
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

#[derive(Default)]
struct World {
    state: State,
    index: u64,
}

/// The words of a line: positional ones, and `name=value` pairs.
struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    fn at(&self, place: usize) -> &'a str {
        self.0.iter().filter(|word| !word.contains('=')).nth(place).unwrap_or_else(|| panic!("word {place} is missing in {:?}", self.0))
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.get(name).map(|text| text.parse().expect("a number"))
    }

    fn group(&self) -> GroupName {
        GroupName::new(self.at(1)).expect("a group name")
    }

    fn addr(&self, place: usize) -> Addr {
        addr(self.at(place))
    }
}

fn addr(short: &str) -> Addr {
    Addr::new(short, 6379).expect("an address")
}

fn tenure(words: &Words<'_>) -> Option<Tenure> {
    Some(match words.get("tenure")? {
        "counted" => Tenure::Counted,
        "guest" => Tenure::Guest,
        "away" => Tenure::Away,
        other => panic!("{other} is no tenure"),
    })
}

fn retirement(words: &Words<'_>) -> Retirement {
    match words.get("why").expect("why=") {
        "unconfirmed" => Retirement::Unconfirmed,
        "left" => Retirement::Left,
        "away" => Retirement::Away,
        "gone" => Retirement::Gone,
        to => Retirement::Moved { to: addr(to) },
    }
}

fn identity(words: &Words<'_>) -> Option<Identity> {
    let run_id = RunId::new(words.get("run")?).expect("an id");
    let replid2 = words.get("continued").map(|id| ReplId::new(id).expect("an id"));
    Some(Identity { run_id, replid: ReplId::new(words.get("history").expect("history=")).expect("an id"), replid2, second_offset: None })
}

impl World {
    fn say(&mut self, line: &str) -> String {
        let words = Words(line.split_whitespace().collect());
        if words.at(0) == "show" {
            return self.show(&words.group());
        }
        self.index += 1;
        let before = self.state.clone();
        let index = LogIndex(self.index);
        let (outcome, events) = if words.at(0) == "voters" {
            let voters = words.0[1..].iter().map(|id| NodeId(id.parse().expect("a node id"))).collect();
            (Outcome::Done, self.state.apply_membership(index, voters))
        } else {
            let command = self.command(&words);
            self.state.apply(index, &command)
        };
        invariants::check_step(&before, &self.state).expect("the invariants hold");
        let mut said = match outcome {
            Outcome::Done => format!("{index}: done\n"),
            Outcome::Unchanged => format!("{index}: unchanged\n"),
            Outcome::Refused(refusal) => {
                before
                    .groups
                    .iter()
                    .for_each(|(name, group)| assert_eq!(self.state.groups.get(name), Some(group), "a refused entry changed {name}"));
                format!("{index}: refused: {refusal}\n")
            }
        };
        for logged in events {
            let _ = writeln!(said, "  {}", describe(&logged.event));
        }
        said
    }

    fn id(&self, words: &Words<'_>) -> FailoverId {
        let running = self.state.groups.get(&words.group()).and_then(|group| group.failover.as_ref()).map(|failover| failover.id);
        let id = running.unwrap_or(FailoverId { epoch: Epoch(0), started: LogIndex(0) });
        FailoverId { epoch: words.number("epoch").map_or(id.epoch, Epoch), started: words.number("started").map_or(id.started, LogIndex) }
    }

    fn command(&self, words: &Words<'_>) -> Command {
        let at = WallTime(self.index * 1_000_000);
        let group = words.group();
        let current = self.state.groups.get(&group).map_or(Epoch(0), |group| group.epoch);
        let epoch = words.number("epoch").map_or(current, Epoch);
        let voter = NodeId(words.number("by").unwrap_or(1));
        let id = self.id(words);
        match words.at(0) {
            "monitor" => Command::ConfigureGroup {
                name: group,
                master: words.addr(2),
                settings: GroupSettings { quorum: words.number("quorum").unwrap_or(2) as u32, ..GroupSettings::default() },
                replicas: words.get("replicas").map(|all| all.split(',').map(addr).collect()).unwrap_or_default(),
                epoch: words.number("epoch").map_or(Epoch(0), Epoch),
                origin: match words.get("from") {
                    Some("file") => Origin::File,
                    Some("shadow") => Origin::FileInShadow,
                    _ => Origin::Operator,
                },
                at,
                takes_up: None,
                asked: None,
            },
            "remove" => Command::RemoveGroup { group, at, keep: None, asked: None },
            "reset" => Command::ResetGroup { group, down: words.0[2..].iter().copied().map(addr).collect(), at, asked: None },
            "set-quorum" => {
                Command::SetOptions { group, changes: vec![SettingChange::Quorum(words.at(2).parse().expect("a number"))], at, asked: None }
            }
            "set-quorum-and-zero" => {
                let quorum = SettingChange::Quorum(words.at(2).parse().expect("a number"));
                Command::SetOptions { group, changes: vec![quorum, SettingChange::DownAfterMs(0)], at, asked: None }
            }
            "master" => Command::MasterSeen { group, epoch, identity: identity(words).expect("run= and history="), at },
            "replica" => {
                Command::ReplicaSeen { group, epoch, replica: words.addr(2), identity: identity(words), tenure: tenure(words), at }
            }
            "retire" => {
                let number = |name: &str| u32::try_from(words.number(name).expect("a number")).expect("a small one");
                let (covered, replicas) = (number("covered"), number("of"));
                Command::ReplicaRetired { group, epoch, replica: words.addr(2), why: retirement(words), covered, replicas, at }
            }
            "name" => Command::ReplicaNamed { group, replica: words.addr(2), adopts: None, at, asked: None },
            "forget" => Command::ReplicaForgotten { group, replica: words.addr(2), at, asked: None },
            "down" => {
                let testimony = DownEvidence { evidence: Evidence::Refused, silent_ms: 1000, limit_ms: 1000, replicas: vec![] };
                Command::VoteDown { group, epoch, voter, testimony, at }
            }
            "up" => Command::VoteUp { group, epoch, voter, at },
            "expire" => Command::VotesExpired { voter, silent_ms: 5000, at },
            "request" => Command::FailoverRequested { group, epoch, by: voter, manner: FailoverMode::Plain, target: None, at, asked: None },
            "promote" => Command::Promote { group, id, choice: choice(words), by: voter, at },
            "stand-down" => Command::Shadow { group, entry: ShadowEntry::StandDown { by: voter }, at, asked: None },
            "take-over" => {
                let despite_stock = words.get("despite") == Some("stock");
                Command::Shadow { group, entry: ShadowEntry::TakeOver { by: voter, despite_stock }, at, asked: None }
            }
            "would-promote" => {
                Command::Shadow { group, entry: ShadowEntry::Decided { id, choice: choice(words), by: voter }, at, asked: None }
            }
            "stock" => {
                let word = match words.at(2) {
                    "+odown" => StockWord::Down,
                    "-odown" => StockWord::Up,
                    "+try-failover" => StockWord::Tried,
                    "+selected-slave" => StockWord::Chosen(words.addr(3)),
                    "+switch-master" => StockWord::Switched(words.addr(3)),
                    other => StockWord::Aborted(other.to_owned()),
                };
                Command::Shadow { group, entry: ShadowEntry::StockSaid { epoch, word, from: addr("stock"), by: voter }, at, asked: None }
            }
            "moved" => {
                let identity = identity(words).expect("run= and history=");
                Command::Shadow { group, entry: ShadowEntry::MasterMoved { epoch, to: words.addr(2), identity }, at, asked: None }
            }
            "promoted" => Command::Promoted { group, id, identity: identity(words).expect("run= and history="), at },
            "follows" => Command::ReplicaFollows { group, id, replica: words.addr(2), at },
            "finish" => Command::FailoverDone {
                group,
                id,
                left: words.0[2..].iter().filter(|word| !word.contains('=')).copied().map(addr).collect(),
                at,
            },
            "abort" => Command::FailoverAborted { group, id, reason: AbortReason::NoGoodReplica, at },
            "block" => Command::FailoverBlocked { group, id, reasons: vec![(words.addr(2), Ineligible::Down)], at },
            other => panic!("no such verb: {other}"),
        }
    }

    fn show(&self, name: &GroupName) -> String {
        let Some(group) = self.state.groups.get(name) else { return format!("{name}: not monitored\n") };
        let replicas: Vec<&str> = group.replicas.keys().map(|addr| addr.host()).collect();
        let votes: Vec<String> = group.ballot.votes().keys().map(ToString::to_string).collect();
        let phase = match group.failover.as_ref().map(|failover| &failover.phase) {
            None => "none".to_owned(),
            Some(Phase::Choosing) => "choosing".to_owned(),
            Some(Phase::Detaching) => "detaching".to_owned(),
            Some(Phase::Draining { .. }) => "draining".to_owned(),
            Some(Phase::Promoting) => "promoting".to_owned(),
            Some(Phase::Following { followed }) => {
                format!("following ({})", followed.iter().map(|addr| addr.host()).collect::<Vec<_>>().join(" "))
            }
        };
        format!(
            "{name}: epoch {} master {} replicas [{}] votes [{}] failover {phase}\n",
            group.epoch,
            group.master.addr.host(),
            replicas.join(" "),
            votes.join(" "),
        )
    }
}

fn choice(words: &Words<'_>) -> Choice {
    let chosen = words.addr(2);
    let ineligible = words.get("why").map(|_| Ineligible::PriorityZero);
    let row = Candidate { addr: chosen.clone(), run_id: None, priority: Some(100), offset: Some(10), detached: false, ineligible };
    Choice {
        chosen,
        candidates: vec![row],
        reason: ChosenFor::OnlyCandidate,
        master_offset: Some(12),
        estimated_loss_bytes: Some(2),
        basis: FencingProof::Unfenced,
        arms: None,
        by_hand: false,
    }
}

fn describe_shadow(event: &ShadowEvent) -> String {
    match event {
        ShadowEvent::StoodDown { .. } => "in shadow".to_owned(),
        ShadowEvent::TookOver { despite_stock, .. } => format!("taken over{}", if *despite_stock { ", whoever else watches" } else { "" }),
        ShadowEvent::WouldPromote { chosen, .. } => format!("{} would be promoted", chosen.host()),
        ShadowEvent::WouldBeBlocked { .. } => "nobody could be promoted".to_owned(),
        ShadowEvent::StockSaid { word, .. } => format!("stock says {}", word.event()),
        ShadowEvent::Followed { from, to } => format!("others moved {} to {}", from.host(), to.host()),
        ShadowEvent::Compared { epoch, difference, .. } => format!("the outage of epoch {epoch} is over: {}", difference.as_str()),
    }
}

fn describe(event: &Event) -> String {
    match event {
        Event::GroupAdded { master, quorum } => format!("monitoring {} with quorum {quorum}", master.host()),
        Event::GroupRemoved { master } => format!("no longer monitoring {}", master.host()),
        Event::OptionSet { option, value, .. } => format!("{option} is {value}"),
        Event::GroupReset { .. } => "reset".to_owned(),
        Event::ReplicaAdded { replica, .. } => format!("{} is a replica", replica.host()),
        Event::ReplicaForgotten { replica, why: None, .. } => format!("{} is forgotten", replica.host()),
        Event::ReplicaForgotten { replica, why: Some(why), .. } => format!("{} is forgotten: {why}", replica.host()),
        Event::ReplicaCounted { replica, counted, .. } => {
            format!("{} {}", replica.host(), if *counted { "counts" } else { "does not count" })
        }
        Event::FenceArmed { fence, replicas, .. } => format!("{} of {replicas} replicas are wanted for a write", fence.min_replicas),
        Event::FenceLoosened { held, .. } => format!("no more than {} replicas are relied on", held.min_replicas),
        Event::FenceDropped { .. } => "no fence".to_owned(),
        Event::Restarted { node, .. } => format!("{} restarted", node.host()),
        Event::VotedDown { voter, epoch, testimony } => format!("{voter} sees epoch {epoch} down: {}", testimony.evidence.as_str()),
        Event::VoteWithdrawn { voter, expired } => format!("the vote of {voter} is {}", if *expired { "void" } else { "withdrawn" }),
        Event::ObjectivelyDown { have, need, .. } => format!("objectively down, {have} of {need}"),
        Event::ObjectivelyUp { .. } => "no longer objectively down".to_owned(),
        Event::FailoverStarted { id, requested, .. } => {
            format!("failover towards epoch {} begins{}", id.epoch, if *requested { ", as requested" } else { "" })
        }
        Event::Decided { id, old, choice } => format!("epoch {} belongs to {}, after {}", id.epoch, choice.chosen.host(), old.host()),
        Event::Promoted { master, .. } => format!("{} is a master", master.host()),
        Event::SwitchMaster { epoch, from, to } => format!("switch from {} to {} in epoch {epoch}", from.host(), to.host()),
        Event::ReplicaFollows { replica, master } => format!("{} follows {}", replica.host(), master.host()),
        Event::FailoverEnded { left, .. } => format!("failover ends, {} left", left.len()),
        Event::FailoverAborted { reason, .. } => format!("failover given up: {}", reason.as_str()),
        Event::FailoverBlocked { reasons, .. } => format!("failover blocked, {} reasons", reasons.len()),
        Event::Shadow(event) => describe_shadow(event),
        Event::SentinelJoined { id, before: None } => format!("sentinel {id} is known"),
        Event::SentinelJoined { id, before: Some(before) } => format!("sentinel {id} is known anew, before at {before}"),
        Event::SentinelLeft { id } => format!("sentinel {id} left"),
    }
}
