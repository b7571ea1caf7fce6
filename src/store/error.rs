//! Why the store cannot be used.

use std::io;
use std::path::{Path, PathBuf};

use crate::base::{ClusterId, NodeId};

const REPLACE: &str = "do not repair it by hand: this sentinel may have voted or acknowledged what is lost. Remove it from the cluster, \
                       empty the directory, and let it join as a new member with a new node id";

/// Why the store cannot be used. Each kind says what was tried, on which file, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Another process works with this directory.
    #[error("{} is in use by another process; stop it, or give this one another 'dir'", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The directory belongs to another sentinel.
    #[error(
        "{} belongs to sentinel {found_node} of cluster '{found_cluster}', the configuration says sentinel {node} of cluster '{cluster}'; \
         correct 'raft node-id' and the cluster's name, or give it another 'dir'",
        path.display()
    )]
    OtherIdentity {
        /// The directory.
        path: PathBuf,
        /// The recorded node.
        found_node: NodeId,
        /// The recorded cluster.
        found_cluster: ClusterId,
        /// The configured node.
        node: NodeId,
        /// The configured cluster.
        cluster: ClusterId,
    },
    /// The public id to start with is not one.
    #[error("'{given}' cannot be a sentinel's id: it must have 40 lowercase hexadecimal digits; correct 'sentinel myid', or leave it out")]
    BadSeed {
        /// What was given.
        given: String,
    },
    /// The identity is there, the log is not.
    #[error("{}: {problem}, but this directory has been in use; {REPLACE}", path.display())]
    LostLog {
        /// The file.
        path: PathBuf,
        /// Missing or empty.
        problem: &'static str,
    },
    /// Something in a file is not what was written.
    #[error("{}: {key} is damaged: {problem}; {REPLACE}", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Which part of it.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The bytes are those that were written, and this release does not understand them.
    #[error(
        "{}: {key} is whole, but this release does not understand it ({problem}). Nothing is lost: install the release that wrote it, or a newer \
         one, and start it on this directory; only if none understands it, remove this sentinel from the cluster and let it join as a new member",
        file.display()
    )]
    Foreign {
        /// The file.
        file: PathBuf,
        /// Which part of it.
        key: String,
        /// What is not understood.
        problem: String,
    },
    /// A term or a place that no cluster reaches by itself.
    #[error(
        "{}: {key} is {number}, which no cluster reaches by itself: a peer that was none wrote it (see 'raft secret-file'). With this sentinel alone: \
         remove it from the cluster, empty the directory, and let it join as a new member with a new node id. With all of them: empty the directories of \
         all and start them again; the servers and the masters that they have now are found by the configuration files",
        file.display()
    )]
    BeyondReach {
        /// The file.
        file: PathBuf,
        /// Which part of it.
        key: String,
        /// What it says.
        number: u64,
    },
    /// A newer release wrote it.
    #[error("{}: {key} has format {found}, this release reads up to {known}; start the newer release again (a downgrade is not possible)", file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// Which part of it.
        key: String,
        /// The format found.
        found: u64,
        /// The newest format this release knows.
        known: u64,
    },
}

impl StoreError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    pub(super) fn damaged(file: &Path, key: impl Into<String>, problem: impl ToString) -> Self {
        Self::Damaged { file: file.to_owned(), key: key.into(), problem: problem.to_string() }
    }
}
