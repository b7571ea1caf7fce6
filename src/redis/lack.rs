//! Errors of the system that say something about this host, and nothing about the one at the other end.

use std::io;

use rustix::io::Errno;

use crate::base::observation::LocalLack;

/// What this host lacks, if that is why the system refused something.
///
/// A connection that is refused, reset or not answered is no lack of ours. Neither is an unreachable network: where the route to a server
/// has been withdrawn, the server is gone for its clients as well.
pub(super) fn lack_of(error: &io::Error) -> Option<LocalLack> {
    match Errno::from_raw_os_error(error.raw_os_error()?) {
        Errno::MFILE | Errno::NFILE => Some(LocalLack::Descriptors),
        Errno::NOMEM | Errno::NOBUFS => Some(LocalLack::Memory),
        Errno::ADDRNOTAVAIL => Some(LocalLack::Ports),
        Errno::ACCESS | Errno::PERM => Some(LocalLack::Permission),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_is_a_fact_about_one_host() {
        for (errno, lack) in [
            (Errno::MFILE, Some(LocalLack::Descriptors)),
            (Errno::NFILE, Some(LocalLack::Descriptors)),
            (Errno::NOMEM, Some(LocalLack::Memory)),
            (Errno::NOBUFS, Some(LocalLack::Memory)),
            (Errno::ADDRNOTAVAIL, Some(LocalLack::Ports)),
            (Errno::ACCESS, Some(LocalLack::Permission)),
            (Errno::PERM, Some(LocalLack::Permission)),
            (Errno::CONNREFUSED, None),
            (Errno::CONNRESET, None),
            (Errno::CONNABORTED, None),
            (Errno::PIPE, None),
            (Errno::TIMEDOUT, None),
            (Errno::HOSTUNREACH, None),
            (Errno::NETUNREACH, None),
            (Errno::HOSTDOWN, None),
            (Errno::NETDOWN, None),
            (Errno::INVAL, None),
        ] {
            let error = io::Error::from_raw_os_error(errno.raw_os_error());
            assert_eq!(lack_of(&error), lack, "{error}");
        }
        assert_eq!(lack_of(&io::ErrorKind::UnexpectedEof.into()), None, "not the system's");
    }
}
