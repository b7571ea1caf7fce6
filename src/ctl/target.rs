//! Whom a command asks, where that is in a file.

use super::command::{Command, Members, Target};
use crate::base::Addr;

impl Command {
    /// Whom it asks.
    pub const fn target_mut(&mut self) -> &mut Target {
        match self {
            Self::Status { target }
            | Self::Master { target, .. }
            | Self::Masters { target, .. }
            | Self::Replicas { target, .. }
            | Self::Decisions { target, .. }
            | Self::History { target, .. }
            | Self::Failover { target, .. }
            | Self::Switchover { target, .. }
            | Self::Set { target, .. }
            | Self::ShadowReport { target, .. }
            | Self::TakeOver { target, .. }
            | Self::StandDown { target, .. }
            | Self::SealSecrets { target }
            | Self::Watch { target, .. } => target,
            Self::Members { command } => match command {
                Members::List { target }
                | Members::Add { target, .. }
                | Members::Promote { target, .. }
                | Members::Recover { target, .. }
                | Members::Lead { target, .. }
                | Members::Remove { target, .. }
                | Members::Replace { target, .. }
                | Members::Move { target, .. } => target,
            },
        }
    }
}

impl Target {
    /// Asks the sentinel that listens there; one that listens everywhere is on this host.
    pub fn ask_at(&mut self, listens: impl IntoIterator<Item = Addr>, tls: bool) {
        let local = |addr: Addr| match addr.host().parse::<std::net::IpAddr>() {
            Ok(ip) if ip.is_unspecified() => Addr::new(if ip.is_ipv4() { "127.0.0.1" } else { "::1" }, addr.port()).unwrap_or(addr),
            _ => addr,
        };
        self.addr = listens.into_iter().map(local).collect();
        self.tls.tls |= tls;
    }
}
