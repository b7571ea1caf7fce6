//! What is compared: whose sentinels, with which policy.

use std::path::PathBuf;
use std::process::Command;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::kit::process::find_program;
use crate::kit::scratch::Scratch;
use crate::kit::sentinel;

/// One side of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Product {
    /// Stock `redis-sentinel`.
    RedisSentinel,
    /// Stock `valkey-sentinel`.
    ValkeySentinel,
    /// raft-sentinel, policy `available`.
    Available,
    /// raft-sentinel, policy `strict`.
    Strict,
}

impl Product {
    pub(crate) const ALL: [Self; 4] = [Self::RedisSentinel, Self::ValkeySentinel, Self::Available, Self::Strict];

    /// Its name for people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::RedisSentinel => "redis-sentinel",
            Self::ValkeySentinel => "valkey-sentinel",
            Self::Available => "raft-sentinel, available",
            Self::Strict => "raft-sentinel, strict",
        }
    }

    /// The name of its program.
    pub(crate) const fn program_name(self) -> &'static str {
        match self {
            Self::RedisSentinel => "redis-sentinel",
            Self::ValkeySentinel => "valkey-sentinel",
            Self::Available | Self::Strict => "raft-sentinel",
        }
    }

    pub(crate) const fn is_ours(self) -> bool {
        matches!(self, Self::Available | Self::Strict)
    }

    /// The program that runs its sentinels.
    pub(crate) fn program(self) -> PathBuf {
        match self {
            Self::RedisSentinel => find_program(self.program_name(), "sh scripts/need redis-sentinel"),
            Self::ValkeySentinel => find_program(self.program_name(), "the package valkey-sentinel, where there is one"),
            Self::Available | Self::Strict => sentinel::our_binary(),
        }
    }

    /// The lines of its configuration file about a group that the others have not.
    pub(crate) fn group_lines(self, group: &str) -> Vec<String> {
        match self {
            Self::RedisSentinel | Self::ValkeySentinel => Vec::new(),
            Self::Available => vec![format!("sentinel promotion-policy {group} available")],
            Self::Strict => vec![format!("sentinel promotion-policy {group} strict")],
        }
    }

    /// Why it cannot take part; none if it can.
    pub(crate) fn missing(self) -> Option<String> {
        match self {
            Self::RedisSentinel | Self::ValkeySentinel => {
                let name = self.program_name();
                let path = std::env::var_os("PATH").unwrap_or_default();
                let found = std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
                (!found).then(|| format!("{name} is not installed"))
            }
            Self::Available | Self::Strict => sentinel::find_our_binary().err().or_else(|| self.refused()),
        }
    }

    /// What our binary says against a file with this policy.
    fn refused(self) -> Option<String> {
        let scratch = Scratch::new();
        let file = scratch.path().join("sentinel.conf");
        let lines = [
            format!("dir {}\nraft node-id 1\nraft listen 127.0.0.1:1\nraft peer 1 127.0.0.1:1", scratch.path().display()),
            "sentinel monitor probe 127.0.0.1 6379 1".to_owned(),
            self.group_lines("probe").join("\n"),
        ];
        if let Err(e) = std::fs::write(&file, lines.join("\n") + "\n") {
            return Some(format!("write {}: {e}", file.display()));
        }
        match Command::new(sentinel::our_binary()).arg("check").arg(&file).output() {
            Ok(output) if output.status.success() => None,
            Ok(output) => {
                let said = [output.stdout, output.stderr].concat();
                let said = String::from_utf8_lossy(&said).into_owned();
                // What comes before is the name of a file that is gone by then.
                let why = said.lines().find_map(|line| Some(line.split_once("promotion-policy: ")?.1)).unwrap_or(&said);
                Some(format!("this raft-sentinel refuses it: {}", why.trim()))
            }
            Err(e) => Some(format!("run {}: {e}", sentinel::our_binary().display())),
        }
    }
}
