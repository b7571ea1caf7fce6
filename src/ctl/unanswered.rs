//! Why no sentinel did what it was asked for.

use std::error::Error;
use std::fmt;

use tonic::{Code, Status};

use super::client::phrase;
use crate::base::Addr;

/// One sentinel that was asked in vain.
#[derive(Debug)]
pub(super) struct FailedTarget {
    pub(super) addr: Addr,
    /// Whether a connection could be made.
    pub(super) connected: bool,
    pub(super) status: Status,
}

impl FailedTarget {
    /// Whether the sentinel itself answered, rather than the system or a connection that broke.
    fn answered(&self) -> bool {
        self.connected && self.status.source().is_none()
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub struct Unanswered(TargetReason);

#[derive(Debug)]
enum TargetReason {
    /// A sentinel refused, for a reason that holds for the others as well.
    Refused { addr: Addr, status: Status },
    /// None of those that were asked could answer.
    ByAll(Vec<FailedTarget>),
}

impl Unanswered {
    /// One sentinel refused for all.
    pub(super) const fn refused(addr: Addr, status: Status) -> Self {
        Self(TargetReason::Refused { addr, status })
    }

    /// All were asked in vain.
    pub(super) const fn by_all(tried: Vec<FailedTarget>) -> Self {
        Self(TargetReason::ByAll(tried))
    }

    /// The exit code of a question, for scripts: 3 where the name is not known, 4 where sentinels answered that they have no quorum, 5 where
    /// none could be reached, and 1 for every other refusal. (2 is a command line that cannot be read.)
    pub fn code(&self) -> u8 {
        match &self.0 {
            TargetReason::Refused { status, .. } if status.code() == Code::NotFound => 3,
            TargetReason::Refused { .. } => 1,
            TargetReason::ByAll(tried) if tried.iter().any(FailedTarget::answered) => 4,
            TargetReason::ByAll(_) => 5,
        }
    }
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            TargetReason::Refused { addr, status } => write!(f, "{addr}: {}", phrase(status)),
            TargetReason::ByAll(tried) => {
                f.write_str("no sentinel could answer")?;
                tried.iter().try_for_each(|FailedTarget { addr, status, .. }| write!(f, "\n  {addr}: {}", phrase(status)))
            }
        }
    }
}

impl Error for Unanswered {}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(connected: bool, status: Status) -> FailedTarget {
        FailedTarget { addr: Addr::new("10.0.0.1", 28379).expect("an address"), connected, status }
    }

    #[test]
    fn scripts_can_tell_the_reasons_apart() {
        let refused = |status: Status| Unanswered::refused(attempt(true, status.clone()).addr, status);
        assert_eq!(refused(Status::not_found("no master named x")).code(), 3);
        assert_eq!(refused(Status::unauthenticated("a password is needed")).code(), 1);
        let (away, unsure) = (|| attempt(false, Status::unavailable("cannot connect")), attempt(true, Status::unavailable("no quorum")));
        assert_eq!(Unanswered::by_all(vec![away(), unsure]).code(), 4);
        assert_eq!(Unanswered::by_all(vec![away(), away()]).code(), 5);
        let broken = Status::from_error(Box::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset)));
        assert_eq!(Unanswered::by_all(vec![attempt(true, broken)]).code(), 5, "it broke off");
    }
}
