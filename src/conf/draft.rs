//! A configuration while its lines are being applied.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::options::{parse_change, script_complaint};
use super::place::{Note, Place};
use super::raft_group::RaftDraft;
use super::settings::{GrpcAccess, Listen, LogSettings, PortConnections, RespSettings, SentinelSettings, Supervised};
use super::tls::TlsDraft;
use super::users::UserLine;
use super::value::{Problem, shown};
use crate::base::settings::SettingChange;
use crate::base::{Addr, GroupName, GroupSeed};

/// What was said about the gRPC listeners.
#[derive(Default)]
pub(super) enum Grpc {
    /// Nothing: beside the SENTINEL port.
    #[default]
    Default,
    /// None are wanted.
    Off,
    /// These.
    At(Vec<Listen>),
}

/// What has been said so far.
pub(super) struct Draft {
    /// The line that is being applied.
    pub(super) place: Place,
    pub(super) resp: RespSettings,
    pub(super) log: LogSettings,
    pub(super) dir: Option<PathBuf>,
    pub(super) supervised: Supervised,
    pub(super) tls: TlsDraft,
    pub(super) unix_path: Option<PathBuf>,
    pub(super) unix_mode: Option<u32>,
    pub(super) pidfile: Option<PathBuf>,
    /// The line that asks for a process in the background, unless a later one takes it back.
    pub(super) daemonize: Option<Place>,
    pub(super) sentinel: SentinelSettings,
    pub(super) raft: RaftDraft,
    pub(super) connections: PortConnections,
    pub(super) grpc: Grpc,
    pub(super) grpc_tls: bool,
    pub(super) grpc_access: GrpcAccess,
    pub(super) grpc_ca_file: Option<PathBuf>,
    pub(super) http: Option<Addr>,
    pub(super) notes: Vec<Note>,
    noted: BTreeSet<String>,
    groups: Vec<(Place, GroupSeed)>,
    by_name: BTreeMap<GroupName, usize>,
    neighbours: BTreeSet<Addr>,
}

impl Draft {
    pub(super) fn new(file: &Path) -> Self {
        Self {
            place: Place::File(file.into()),
            resp: RespSettings::default(),
            log: LogSettings::default(),
            dir: None,
            supervised: Supervised::default(),
            tls: TlsDraft::default(),
            unix_path: None,
            unix_mode: None,
            pidfile: None,
            daemonize: None,
            sentinel: SentinelSettings::default(),
            raft: RaftDraft::default(),
            connections: PortConnections::default(),
            grpc: Grpc::default(),
            grpc_tls: false,
            grpc_access: GrpcAccess::default(),
            grpc_ca_file: None,
            http: None,
            notes: Vec::new(),
            noted: BTreeSet::new(),
            groups: Vec::new(),
            by_name: BTreeMap::new(),
            neighbours: BTreeSet::new(),
        }
    }

    /// Tells the operator something about the line that is being applied.
    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(Note { place: self.place.clone(), text: text.into() });
    }

    /// The same, but only for the first line of its kind: a migrated file may hold hundreds.
    pub(super) fn note_once(&mut self, kind: &str, text: &str) {
        if self.noted.insert(kind.to_owned()) {
            self.note(text);
        }
    }

    /// The port that others are counted from: `port`, or `tls-port` where that is the only one.
    pub(super) fn main_port(&self) -> u16 {
        if self.resp.port == 0 { self.resp.tls_port } else { self.resp.port }
    }

    /// Reads one `user <name> <rule>...` line. A user has one line.
    pub(super) fn take_user(&mut self, args: &[String]) -> Result<(), Problem> {
        let users = &mut self.resp.acl.users;
        let line = UserLine::new(self.place.clone(), args)?;
        if users.iter().any(|known| (&known.name, &known.rules) == (&line.name, &line.rules)) {
            self.note(format!("user {} has this line already: the second has no effect", shown(&line.name)));
            return Ok(());
        }
        if users.iter().any(|known| known.name == line.name) {
            return Err(format!("Duplicate user found. {} has two lines; a user can only be defined once", shown(&line.name)));
        }
        users.push(line);
        Ok(())
    }

    pub(super) fn has_group(&self, name: &GroupName) -> bool {
        self.by_name.contains_key(name)
    }

    pub(super) fn group_count(&self) -> usize {
        self.groups.len()
    }

    pub(super) fn add_group(&mut self, seed: GroupSeed) {
        self.by_name.insert(seed.name.clone(), self.groups.len());
        self.groups.push((self.place.clone(), seed));
    }

    /// The group of that name, which a `sentinel monitor` line must have named.
    pub(super) fn group(&mut self, name: &str) -> Result<&mut GroupSeed, Problem> {
        let known = GroupName::new(name).ok().and_then(|name| self.by_name.get(&name).copied());
        let seed = known.and_then(|index| self.groups.get_mut(index)).map(|(_, seed)| seed);
        seed.ok_or_else(|| format!("No such master with specified name. No 'sentinel monitor' line names {}", shown(name)))
    }

    /// The groups with the lines that named them.
    pub(super) fn groups(&self) -> &[(Place, GroupSeed)] {
        &self.groups
    }

    pub(super) fn take_groups(&mut self) -> Vec<GroupSeed> {
        std::mem::take(&mut self.groups).into_iter().map(|(_, seed)| seed).collect()
    }

    /// Another sentinel that a stock Sentinel had found.
    pub(super) fn note_neighbour(&mut self, sentinel: Addr) {
        self.neighbours.insert(sentinel);
    }

    /// The hosts of the other sentinels that a stock Sentinel had found.
    pub(super) fn neighbour_hosts(&self) -> BTreeSet<&str> {
        self.neighbours.iter().map(|sentinel| sentinel.host()).collect()
    }

    /// Applies `sentinel <option> <group> <value>...`.
    pub(super) fn set_group_option(&mut self, option: &str, args: &[String]) -> Result<(), Problem> {
        let [group, values @ ..] = args else { return Err(format!("'sentinel {option}' without a group")) };
        self.group(group)?;
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let change = parse_change(option, &values).map_err(|error| error.to_string())?;
        if let Some(complaint) = script_complaint(&change, self.dir.as_deref().unwrap_or(Path::new(""))) {
            let path = self.dir.as_deref().unwrap_or(Path::new("")).join(change.shown_value());
            return Err(format!("{complaint}. It is {}", shown(&path.to_string_lossy())));
        }
        if let SettingChange::RenameCommand { command, to } = &change
            && let Some(known) = self.group(group)?.settings.rename_commands.get(command)
        {
            if known == to {
                self.note(format!("{} is renamed so already: the line has no effect", shown(command)));
                return Ok(());
            }
            return Err(format!("Same command renamed multiple times with rename-command. It is {}", shown(command)));
        }
        self.group(group)?.settings.change(&change).map_err(|error| error.to_string())
    }
}
