//! What is measured of logins.

use super::families::Family;
use super::scrape::big;
use crate::serve::users::{Access, Port};

/// Failed logins by the port that they came to.
pub(super) fn families(access: &Access) -> Vec<Family> {
    let mut failed = Family::counter("logins_failed", "Logins with a wrong password or user, since this process started");
    let mut refused = Family::counter("logins_refused", "Those of them that were not looked at, since too many came from their address");
    for port in Port::ALL {
        let (all, unseen) = access.counts(port);
        failed.add([("port", port.as_str())], big(all));
        refused.add([("port", port.as_str())], big(unseen));
    }
    vec![failed, refused]
}
