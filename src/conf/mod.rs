//! The configuration: a file in sentinel.conf syntax, and the command line.
//!
//! Text goes in, a [`Config`] of plain data comes out, or one [`ConfError`] that names the place and what is expected.
//! Nothing here runs, listens, logs or writes. In reading order: [`words`] splits a line, `source` reads files and the
//! command line, `directive` is the table of what may be said, `draft` collects it, `load` applies the lines in stages,
//! `cross` checks how they fit together, `compare` how the files of several sentinels do. [`options`] is shared with SENTINEL SET.
//!
//! Called by `main` (the [`cli`]) and `app` (the settings); `serve` uses [`options`].

mod choices;
pub mod cli;
mod compare;
mod cross;
mod directive;
mod draft;
mod load;
pub mod options;
mod place;
mod proof;
mod raft_group;
mod settings;
mod source;
mod tls;
mod users;
mod value;
pub mod words;

pub use choices::{LogLevel, NoQuorumReply};
pub use load::{load, load_all, parse};
pub use place::{ConfError, Note, Place};
pub use proof::SecretIds;
pub use settings::{
    AclSettings, Bind, CertificateUser, Config, Connections, GrpcAccess, Listen, LogSettings, PortConnections, RaftSettings, RespSettings,
    SentinelSettings, Supervised, UnixSocket,
};
pub use users::UserLine;
