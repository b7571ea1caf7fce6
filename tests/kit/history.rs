//! Asking our sentinels over gRPC, from code that knows no tasks.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use raft_sentinel::proto::sentinel as proto;
use raft_sentinel::proto::sentinel::sentinel_client::SentinelClient;
use tokio::runtime::{Builder, Runtime};
use tonic::transport::{Channel, Endpoint};

const LIMIT: Duration = Duration::from_secs(3);

/// A client of one sentinel's gRPC port.
pub struct History {
    runtime: Runtime,
    client: SentinelClient<Channel>,
}

impl History {
    /// Will ask the sentinel whose gRPC port on the loopback interface this is. Connects when first asked.
    pub fn of(port: u16) -> Self {
        Self::at(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    /// Will ask the sentinel whose gRPC address this is. Connects when first asked.
    pub fn at(addr: SocketAddr) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
        let endpoint = Endpoint::from_shared(format!("http://{addr}")).expect("an address makes a valid URI");
        let endpoint = endpoint.connect_timeout(LIMIT).timeout(LIMIT);
        let channel = runtime.block_on(async { endpoint.connect_lazy() });
        Self { runtime, client: SentinelClient::new(channel) }
    }

    /// The remembered failovers of `group`, newest first.
    ///
    /// # Errors
    /// What the sentinel, or the way to it, says.
    pub fn decisions(&mut self, group: &str) -> Result<Vec<proto::Decision>, String> {
        let request = proto::ListDecisionsRequest { group: group.to_owned(), limit: 0, consistency: 0 };
        let answer = self.runtime.block_on(self.client.list_decisions(request));
        answer.map(|response| response.into_inner().decisions).map_err(|status| status.to_string())
    }

    /// The master of `group`, by a linearizable read.
    ///
    /// # Errors
    /// What the sentinel, or the way to it, says.
    pub fn master(&mut self, group: &str) -> Result<proto::Master, String> {
        let request = proto::GetMasterRequest { group: group.to_owned(), consistency: 0 };
        let answer = self.runtime.block_on(self.client.get_master(request));
        answer.map_err(|status| status.to_string())?.into_inner().master.ok_or_else(|| "the answer names no master".to_owned())
    }

    /// How this sentinel sees the cluster.
    ///
    /// # Errors
    /// What the sentinel, or the way to it, says.
    pub fn status(&mut self) -> Result<proto::StatusResponse, String> {
        let answer = self.runtime.block_on(self.client.status(proto::StatusRequest { groups: Vec::new() }));
        answer.map(tonic::Response::into_inner).map_err(|status| status.to_string())
    }
}

/// The votes behind a decision; none if it was asked for.
pub fn votes(decision: &proto::Decision) -> &[proto::Vote] {
    match decision.cause.as_ref().and_then(|cause| cause.cause.as_ref()) {
        Some(proto::cause::Cause::Down(down)) => &down.votes,
        Some(proto::cause::Cause::Requested(_)) | None => &[],
    }
}

/// `host:port`, or a dash.
pub fn address(addr: Option<&proto::Address>) -> String {
    addr.map_or_else(|| "-".to_owned(), |addr| format!("{}:{}", addr.host, addr.port))
}
