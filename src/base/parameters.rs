//! The parameters of SENTINEL CONFIG SET that outlive a restart: agreed upon, and stronger than the configuration file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::NodeId;

/// One parameter that an operator sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ParameterChange {
    /// `resolve-hostnames`, of all sentinels.
    ResolveHostnames(bool),
    /// `announce-hostnames`, of all sentinels.
    AnnounceHostnames(bool),
    /// `announce-ip` of one sentinel; none is what its file says.
    AnnounceIp(Option<String>),
    /// `announce-port` of one sentinel; 0 is what its file says.
    AnnouncePort(u16),
}

/// How one sentinel presents itself, where that was changed at run time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// `announce-ip`; none is what its file says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// `announce-port`; 0 is what its file says.
    #[serde(default)]
    pub port: u16,
}

impl Announced {
    /// The host to present instead of the file's.
    pub fn host<'a>(&'a self, file: &'a str) -> &'a str {
        self.ip.as_deref().unwrap_or(file)
    }

    /// The port to present instead of the file's.
    pub const fn port(&self, file: u16) -> u16 {
        if self.port == 0 { file } else { self.port }
    }
}

/// What was changed at run time. Empty until then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parameters {
    /// `resolve-hostnames`; none is what each file says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolve_hostnames: Option<bool>,
    /// `announce-hostnames`; none is what each file says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub announce_hostnames: Option<bool>,
    /// How single sentinels present themselves.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub announced: BTreeMap<NodeId, Announced>,
}

impl Parameters {
    /// Whether nothing was ever changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Makes the changes that `sentinel` was asked for. There are none that could be refused.
    pub fn change(&mut self, sentinel: NodeId, changes: &[ParameterChange]) {
        let mut own = self.of(sentinel);
        for change in changes {
            match change {
                ParameterChange::ResolveHostnames(yes) => self.resolve_hostnames = Some(*yes),
                ParameterChange::AnnounceHostnames(yes) => self.announce_hostnames = Some(*yes),
                ParameterChange::AnnounceIp(ip) => own.ip.clone_from(ip),
                ParameterChange::AnnouncePort(port) => own.port = *port,
            }
        }
        if own == Announced::default() {
            self.announced.remove(&sentinel);
        } else {
            self.announced.insert(sentinel, own);
        }
    }

    /// How that sentinel presents itself.
    pub fn of(&self, sentinel: NodeId) -> Announced {
        self.announced.get(&sentinel).cloned().unwrap_or_default()
    }
}
