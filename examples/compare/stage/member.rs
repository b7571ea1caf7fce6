//! One process on stage.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::Place;
use crate::kit::process::{Process, Recipe, tail};

const TAIL_LINES: usize = 15;

/// A data node or a sentinel. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) addr: SocketAddr,
    /// Where operators ask it; only sentinels of ours have such a port.
    pub(super) admin: Option<SocketAddr>,
    process: Process,
}

impl Member {
    /// Starts `program` there with a configuration file `config`, in a folder below `root`.
    pub(super) fn start(name: String, root: &Path, place: &Place, addr: SocketAddr, run: &Program) -> anyhow::Result<Self> {
        let dir = folder(root, &name)?;
        let config = dir.join("conf");
        fs::write(&config, &run.config).with_context(|| format!("write {}", config.display()))?;
        let (first, mut args) = place.command_line(&run.program);
        args.extend(run.arguments.iter().cloned());
        args.push(config.display().to_string());
        let process = Process::start(Recipe { program: PathBuf::from(first), args, env: Vec::new(), log: dir.join("log") });
        Ok(Self { name, addr, admin: run.admin, process })
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it once more, with its files as they are.
    pub(crate) fn start_again(&mut self) {
        self.process.kill();
        self.process.start_again();
    }

    pub(crate) fn stop(&self) {
        self.process.stop();
    }

    pub(crate) fn cont(&self) {
        self.process.cont();
    }

    /// Whether it runs (or is suspended).
    pub(crate) fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    pub(super) fn tail(&self) -> String {
        format!("--- {} ({}) ---\n{}", self.name, self.addr, tail(self.process.log(), TAIL_LINES))
    }
}

/// What a member runs.
pub(super) struct Program {
    pub(super) program: PathBuf,
    /// What comes before the file's name.
    pub(super) arguments: Vec<String>,
    /// What the file says.
    pub(super) config: String,
    pub(super) admin: Option<SocketAddr>,
}

/// The folder of a member, made if it is not there.
pub(super) fn folder(root: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let dir = root.join(name);
    fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    Ok(dir)
}
