//! On what machine, with which versions.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use serde::Serialize;

use crate::kit::sentinel::our_binary;

/// What the numbers depend on.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Host {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) redis: String,
    pub(crate) raft_sentinel: Option<String>,
    pub(crate) optimised: bool,
}

/// Looks around. The version of our binary is asked for only if it is needed.
pub(crate) fn describe(with_ours: bool) -> Host {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':').map(|(_, name)| name.trim().to_owned()));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Host {
        cpu: model.unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        cores: thread::available_parallelism().map_or(1, usize::from),
        kernel: kernel.trim().to_owned(),
        redis: first_line(Path::new("redis-server")).split_whitespace().find_map(|word| word.strip_prefix("v=")).unwrap_or("?").to_owned(),
        raft_sentinel: with_ours.then(|| first_line(&our_binary())),
        optimised: !cfg!(debug_assertions),
    }
}

fn first_line(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("version unknown").to_owned()
}
