//! What this sentinel runs on its host and calls in its network because of an event: by its own file, whatever the others agreed on.
//!
//! Scripts and webhooks of a group are agreed settings: one sentinel that lets a client change them changes them for all. So each
//! sentinel holds what is agreed against its own file before it runs or calls anything.

use core::net::IpAddr;
use std::collections::BTreeSet;

use super::WebhookUrl;
use super::places::{Place, Reach, literal, reach};

/// Which of a group's scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScriptKind {
    /// `notification-script`.
    Notification,
    /// `client-reconfig-script`.
    ClientReconfig,
}

/// The rules of this sentinel's own file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRules {
    /// `sentinel deny-scripts-reconfig`: whether what the file does not name is neither run nor called.
    pub own_only: bool,
    /// The scripts that the file names.
    pub scripts: BTreeSet<(ScriptKind, String)>,
    /// The webhooks that the file names.
    pub webhooks: Vec<WebhookUrl>,
    /// `sentinel webhook-allow`: where other webhooks may lead, and where the addresses of all of them may be although they are a host's own.
    pub webhook_places: Option<Vec<Place>>,
}

impl Default for CallRules {
    fn default() -> Self {
        Self { own_only: true, scripts: BTreeSet::new(), webhooks: Vec::new(), webhook_places: None }
    }
}

impl CallRules {
    /// Whether an agreed script is run here.
    pub fn runs(&self, kind: ScriptKind, path: &str) -> bool {
        !self.own_only || self.scripts.contains(&(kind, path.to_owned()))
    }

    /// Whether the file names this webhook.
    pub fn is_own(&self, url: &WebhookUrl) -> bool {
        self.webhooks.contains(url)
    }

    /// Why an agreed webhook is not called from here; none if it may be, as far as its text tells.
    pub fn refusal(&self, url: &WebhookUrl) -> Option<&'static str> {
        if self.is_own(url) {
            return literal(url.host()).and_then(|ip| self.refusal_of(url, ip));
        }
        if self.lists(url.host()) {
            return None;
        }
        if self.own_only {
            return Some("this sentinel's file does not name it, and says 'deny-scripts-reconfig yes' (its default)");
        }
        match literal(url.host()) {
            Some(ip) => self.refusal_of(url, ip),
            None if self.webhook_places.as_ref().is_some_and(|places| !places.iter().any(|place| matches!(place, Place::Range(..)))) => {
                Some(UNLISTED)
            }
            None => None,
        }
    }

    /// Why a webhook is not called at this address, which its host is or stands for; none if it may be.
    pub fn refusal_of(&self, url: &WebhookUrl, ip: IpAddr) -> Option<&'static str> {
        if self.webhook_places.iter().flatten().any(|place| place.holds(ip)) {
            return None;
        }
        match reach(ip) {
            Reach::Reserved => Some(RESERVED),
            Reach::Loopback | Reach::Host if self.is_own(url) => None,
            Reach::Loopback => Some(LOOPBACK),
            Reach::Host if self.webhook_places.is_none() || self.lists(url.host()) => None,
            Reach::Host => Some(UNLISTED),
        }
    }

    fn lists(&self, host: &str) -> bool {
        self.webhook_places.iter().flatten().any(|place| place.names(host))
    }
}

const RESERVED: &str = "its address is link-local, reserved or a cloud's own, and 'sentinel webhook-allow' does not list it";
const LOOPBACK: &str =
    "its address is this host's own, the webhook is not from this sentinel's file, and 'sentinel webhook-allow' does not list it";
const UNLISTED: &str = "'sentinel webhook-allow' does not list its host";

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails may panic")]
mod tests {
    use super::*;

    fn url(text: &str) -> WebhookUrl {
        WebhookUrl::new(text).unwrap()
    }

    fn places(words: &[&str]) -> Option<Vec<Place>> {
        Some(words.iter().map(|word| word.parse().unwrap()).collect())
    }

    #[test]
    fn a_script_is_run_where_the_own_file_names_it_as_what_it_is() {
        let scripts = [(ScriptKind::Notification, "/opt/notify".to_owned())].into();
        let strict = CallRules { scripts, ..CallRules::default() };
        assert!(strict.runs(ScriptKind::Notification, "/opt/notify"));
        assert!(!strict.runs(ScriptKind::ClientReconfig, "/opt/notify") && !strict.runs(ScriptKind::Notification, "/tmp/evil"));
        assert!(CallRules { own_only: false, ..strict }.runs(ScriptKind::Notification, "/tmp/any"));
    }

    #[test]
    fn webhooks_lead_where_the_own_file_lets_them() {
        let own = url("http://127.0.0.1:9/token");
        let strict = CallRules {
            webhooks: vec![own.clone(), url("http://169.254.169.254/latest"), url("http://own.example/")],
            ..CallRules::default()
        };
        assert_eq!(strict.refusal(&own), None, "the operator of this host wrote it");
        assert!(strict.refusal(&url("http://169.254.169.254/latest")).is_some(), "a name may stand for it too: never by accident");
        assert!(strict.refusal(&url("http://hooks.example/")).is_some());
        assert!(strict.refusal_of(&url("http://own.example/"), "169.254.169.254".parse().unwrap()).is_some());
        let open = CallRules { own_only: false, ..strict };
        assert_eq!(open.refusal(&url("http://hooks.example/")), None);
        for refused in
            ["http://127.0.0.1/", "http://[::1]/", "http://[::ffff:127.0.0.1]:80/", "http://[fe80::1]/", "https://100.100.100.200/"]
        {
            assert!(open.refusal(&url(refused)).is_some(), "{refused}");
        }
        assert!(open.refusal_of(&url("http://hooks.example/"), "127.0.0.1".parse().unwrap()).is_some(), "a name that stands for this host");
        let listed = CallRules { webhook_places: places(&["hooks.example", "10.0.0.0/8", "127.0.0.1"]), ..open };
        let (by_name, by_range) = (url("http://hooks.example/"), url("http://10.1.2.3/"));
        assert_eq!((listed.refusal(&by_name), listed.refusal(&by_range), listed.refusal(&url("http://127.0.0.1:7/"))), (None, None, None));
        assert_eq!(listed.refusal_of(&by_name, "192.0.2.1".parse().unwrap()), None);
        assert!(listed.refusal_of(&by_name, "169.254.169.254".parse().unwrap()).is_some(), "a listed name is no listed address");
        assert!(listed.refusal(&url("http://192.0.2.1/")).is_some());
        assert!(listed.refusal_of(&url("http://other.example/"), "192.0.2.1".parse().unwrap()).is_some());
    }
}
