//! All gRPC services of one sentinel, from code that knows no tasks.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use raft_sentinel::proto::admin::admin_client::AdminClient;
use raft_sentinel::proto::sentinel::sentinel_client::SentinelClient;
use tokio::runtime::{Builder, Runtime};
use tonic::transport::{Channel, Endpoint};

/// A connection to one sentinel's gRPC port, made when first needed, and again after a loss.
#[derive(Debug)]
pub struct Grpc {
    runtime: Runtime,
    channel: Channel,
}

impl Grpc {
    /// Will ask the sentinel whose gRPC port on the loopback interface this is.
    pub fn of(port: u16) -> Self {
        Self::at(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    /// Will ask the sentinel whose gRPC address this is.
    pub fn at(addr: SocketAddr) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime can be made");
        let endpoint = Endpoint::from_shared(format!("http://{addr}")).expect("an address makes a valid URI");
        let endpoint = endpoint.connect_timeout(Duration::from_secs(2));
        let channel = runtime.block_on(async { endpoint.connect_lazy() });
        Self { runtime, channel }
    }

    /// Waits for an answer; none is waited for longer than 20 s.
    pub fn wait<T>(&self, asked: impl Future<Output = T>) -> T {
        let bounded = async { tokio::time::timeout(Duration::from_secs(20), asked).await };
        self.runtime.block_on(bounded).expect("every call is answered within 20 s")
    }

    /// Starts a task beside the test.
    pub fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> tokio::task::JoinHandle<T> {
        self.runtime.spawn(task)
    }

    /// The connection, for services of others.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// The public service.
    pub fn sentinel(&self) -> SentinelClient<Channel> {
        SentinelClient::new(self.channel())
    }

    /// The operators' service.
    pub fn admin(&self) -> AdminClient<Channel> {
        AdminClient::new(self.channel())
    }
}
