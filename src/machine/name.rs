//! The names of entries, for logs and metrics.

use super::command::Command;

impl Command {
    /// The entry's name, for logs and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ConfigureGroup { .. } => "configure-group",
            Self::SetOptions { .. } => "set-options",
            Self::SecretsSealed { .. } => "secrets-sealed",
            Self::RemoveGroup { .. } => "remove-group",
            Self::ResetGroup { .. } => "reset-group",
            Self::MasterSeen { .. } => "master-seen",
            Self::ReplicaSeen { .. } => "replica-seen",
            Self::ReplicaRetired { .. } => "replica-retired",
            Self::ReplicaNamed { .. } => "replica-named",
            Self::ReplicaForgotten { .. } => "replica-forgotten",
            Self::FenceArmed { .. } => "fence-armed",
            Self::FenceLoosened { .. } => "fence-loosened",
            Self::FenceCovered { .. } => "fence-covered",
            Self::FenceDropped { .. } => "fence-dropped",
            Self::VoteDown { .. } => "vote-down",
            Self::VoteUp { .. } => "vote-up",
            Self::VotesExpired { .. } => "votes-expired",
            Self::FailoverRequested { .. } => "failover-requested",
            Self::Promote { .. } => "promote",
            Self::Promoted { .. } => "promoted",
            Self::ReplicaFollows { .. } => "replica-follows",
            Self::FailoverDone { .. } => "failover-done",
            Self::FailoverAborted { .. } => "failover-aborted",
            Self::FailoverBlocked { .. } => "failover-blocked",
            Self::Shadow { entry, .. } => entry.name(),
            Self::SetParameters { .. } => "set-parameters",
            Self::SentinelJoined { .. } => "sentinel-joined",
            Self::SentinelLeft { .. } => "sentinel-left",
        }
    }
}
