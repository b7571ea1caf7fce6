//! Names for what differs from run to run: ports and ids.

use std::collections::BTreeMap;

use crate::kit::Cluster;

/// Which port is whose.
#[derive(Clone, Debug, Default)]
pub(crate) struct Labels(BTreeMap<String, &'static str>);

impl Labels {
    /// The master of `cluster` is on `master`; the others are its replicas.
    pub(crate) fn new(cluster: &Cluster, master: u16) -> Self {
        let mut labels = Self::default();
        for server in &cluster.servers {
            labels.name(server.port, if server.port == master { "<master>" } else { "<replica>" });
        }
        for sentinel in &cluster.sentinels {
            labels.name(sentinel.ports.resp, "<sentinel>");
        }
        labels
    }

    pub(crate) fn name(&mut self, port: u16, label: &'static str) {
        self.0.insert(port.to_string(), label);
    }

    /// The text with all of them replaced.
    pub(crate) fn apply(&self, text: &str) -> String {
        let mut told = String::new();
        let mut rest = text;
        while !rest.is_empty() {
            let word = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric()).len();
            let (token, after) = rest.split_at(if word > 0 { word } else { rest.chars().next().map_or(1, char::len_utf8) });
            told.push_str(self.label(token));
            rest = after;
        }
        told
    }

    fn label<'a>(&self, token: &'a str) -> &'a str {
        let is_id = token.len() == 40 && token.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_id { "<id>" } else { self.0.get(token).copied().unwrap_or(token) }
    }
}

#[test]
fn ids_and_ports_get_names() {
    let mut labels = Labels::default();
    labels.name(7000, "<master>");
    let text = format!("@ 127.0.0.1:7000 {} 70001", "0a".repeat(20));
    assert_eq!(labels.apply(&text), "@ 127.0.0.1:<master> <id> 70001");
}
