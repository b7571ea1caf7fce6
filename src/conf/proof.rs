//! How sentinels prove themselves to each other: whether a file says enough, and whether several files fit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::compare::{Finding, Read};
use super::settings::RaftSettings;
use super::value::Problem;
use crate::base::Addr;

/// The public names of the secrets in one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretIds {
    /// The one that it dials with.
    pub current: String,
    /// Those that it accepts, the current one included.
    pub all: Vec<String>,
}

/// Whether only this host reaches the address.
pub(super) fn is_loopback(addr: &Addr) -> bool {
    addr.host() == "localhost" || addr.host().parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// Refuses a port for peers that other hosts reach and where nobody has to prove anything: whoever sends it entries of the log rules the
/// servers, and runs the scripts.
pub(super) fn check(raft: &RaftSettings) -> Result<(), Problem> {
    if raft.secret_file.is_some() || raft.tls || raft.insecure || is_loopback(&raft.listen) {
        return Ok(());
    }
    Err(format!(
        "raft listen {} can be reached from other hosts, and whoever reaches it could pose as a sentinel. Say one of these, on all sentinels:\n\n    \
         raft secret-file <path>   a secret that all of them share: (umask 077; raft-sentinel secret new > <path>)\n    \
         raft tls yes              certificates, with tls-cert-file, tls-key-file and tls-ca-cert-file\n    \
         raft insecure yes         nothing: for a network where every host may do everything",
        raft.listen
    ))
}

/// Hints about how peers prove themselves.
pub(super) fn notes(raft: &RaftSettings) -> Vec<String> {
    let mut notes = Vec::new();
    if raft.tls && raft.tls_allowed_names.is_empty() && raft.tls_ca_file.is_none() && raft.secret_file.is_none() {
        notes.push(
            "raft tls yes: each certificate of the authority that is made for both ends of a connection is a sentinel's; name theirs with \
             'raft tls-allowed-names', or add 'raft secret-file'"
                .to_owned(),
        );
    }
    if !raft.tls && (!raft.tls_allowed_names.is_empty() || raft.tls_ca_file.is_some()) {
        notes.push("raft tls-allowed-names and raft tls-ca-cert-file have no effect without raft tls yes".to_owned());
    }
    if raft.insecure {
        notes.push(match (raft.tls, &raft.secret_file) {
            (true, None) => "raft insecure yes has no effect beside raft tls yes: certificates are asked for".to_owned(),
            (true, Some(_)) => "raft insecure yes: peers without the secret are let in with a certificate alone; remove the line once all have the secret".to_owned(),
            (false, Some(_)) => format!(
                "raft insecure yes: peers without the secret are let in at {}, and may change everything; remove the line once all sentinels have the secret",
                raft.listen
            ),
            (false, None) => format!("raft insecure yes: whoever reaches {} may pose as a sentinel and change everything", raft.listen),
        });
    }
    notes
}

/// Compares how the sentinels of one deployment prove themselves. `secrets` are the names of those in each file that could be read.
pub(super) fn compare(files: &[Read<'_>], secrets: &BTreeMap<PathBuf, SecretIds>) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, a) in files.iter().enumerate() {
        for b in &files[index + 1..] {
            found.extend(between(*a, *b, secrets));
        }
    }
    found
}

fn between((here, a): Read<'_>, (there, b): Read<'_>, secrets: &BTreeMap<PathBuf, SecretIds>) -> Option<Finding> {
    let (here_shown, there_shown) = (here.display(), there.display());
    let (with, without) = match (&a.raft.secret_file, &b.raft.secret_file) {
        (None, None) => return None,
        (Some(_), None) => ((here, a), (there, b)),
        (None, Some(_)) => ((there, b), (here, a)),
        (Some(_), Some(_)) => {
            let (ours, theirs) = (secrets.get(here)?, secrets.get(there)?);
            let fit = |one: &SecretIds, other: &SecretIds| other.all.contains(&one.current);
            let text = |from: &Path, to: &Path, ids: &SecretIds| {
                format!(
                    "{} dials with the secret {}, which {} does not hold: these sentinels refuse each other (raft secret-file)",
                    from.display(),
                    ids.current,
                    to.display()
                )
            };
            return match (fit(ours, theirs), fit(theirs, ours)) {
                (false, _) => Some(Finding::conflict(text(here, there, ours))),
                (_, false) => Some(Finding::conflict(text(there, here, theirs))),
                (true, true) if ours.current != theirs.current => Some(Finding::note(format!(
                    "{here_shown} dials with the secret {}, {there_shown} with {}: fine while the secret is being replaced",
                    ours.current, theirs.current
                ))),
                (true, true) => None,
            };
        }
    };
    let text = format!("{} has a raft secret-file, {} has none", with.0.display(), without.0.display());
    Some(if with.1.raft.insecure {
        Finding::note(format!("{text}: fine while the secret is being introduced, as long as the former says raft insecure yes"))
    } else {
        Finding::conflict(format!("{text}: these sentinels refuse each other"))
    })
}

/// What `check` has found out about the files that a configuration names.
pub(super) fn by_file(looked: &BTreeMap<PathBuf, Result<Option<SecretIds>, String>>) -> BTreeMap<PathBuf, SecretIds> {
    looked.iter().filter_map(|(file, ids)| Some((file.clone(), ids.as_ref().ok()?.clone()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_what_other_hosts_do_not_reach() {
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(is_loopback(&Addr::new(host, 1).expect("an address")), "{host}");
        }
        for host in ["0.0.0.0", "::", "10.0.0.1", "s1.example", "localhost.example", "::ffff:10.0.0.1"] {
            assert!(!is_loopback(&Addr::new(host, 1).expect("an address")), "{host}");
        }
    }
}
