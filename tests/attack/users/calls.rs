//! Any call by its name, with an empty request.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use tokio::runtime::{Builder, Runtime};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

/// How long a call is waited for.
const LIMIT: Duration = Duration::from_secs(20);
/// How long a stream that goes on is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// The path of every call that the port serves.
pub(super) fn all_calls() -> Vec<String> {
    let own = raft_sentinel::proto::DESCRIPTORS;
    let mut calls = Vec::new();
    for descriptors in [own, tonic_health::pb::FILE_DESCRIPTOR_SET, tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET] {
        let set = FileDescriptorSet::decode(descriptors).expect("descriptors decode");
        for file in &set.file {
            for service in &file.service {
                calls.extend(service.method.iter().map(|method| format!("/{}.{}/{}", file.package(), service.name(), method.name())));
            }
        }
    }
    // Peers have a port of their own.
    calls.retain(|call| !call.starts_with("/raftsentinel.peer."));
    assert!(calls.len() >= 20, "{calls:?}");
    calls
}

/// Somebody who calls.
pub(super) struct Caller {
    runtime: Runtime,
    channel: Channel,
    header: Option<String>,
}

/// A watch that has begun.
pub(super) struct Watching {
    runtime: Runtime,
    stream: Streaming<()>,
}

impl Caller {
    /// Somebody who calls there, and perhaps says who he is.
    pub(super) fn of(at: SocketAddr, login: Option<(&str, &str)>) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime can be made");
        let endpoint = Endpoint::from_shared(format!("http://{at}")).expect("an address makes a valid URI").connect_timeout(LIMIT);
        let channel = runtime.block_on(async { endpoint.connect_lazy() });
        let header = login.map(|(user, password)| format!("Basic {}", base64(format!("{user}:{password}").as_bytes())));
        Self { runtime, channel, header }
    }

    /// What comes of a call with an empty request: OK where it is answered, or begins to be.
    pub(super) fn call(&self, path: &str) -> Status {
        let called = self.wait(self.open(path));
        let mut stream = match called {
            Ok(stream) => stream,
            Err(status) => return status,
        };
        match self.wait(async { tokio::time::timeout(LOOK, stream.message()).await }) {
            Ok(Err(status)) => status,
            Ok(Ok(_)) | Err(_) => Status::ok(""),
        }
    }

    /// Watches all masters.
    pub(super) fn watch(self) -> Watching {
        let stream = self.wait(self.open("/raftsentinel.v1.Sentinel/WatchMasters")).expect("the watch begins");
        Watching { runtime: self.runtime, stream }
    }

    async fn open(&self, path: &str) -> Result<Streaming<()>, Status> {
        let mut client = Grpc::new(self.channel.clone());
        client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let mut request = Request::new(tokio_stream::once(()));
        if let Some(header) = &self.header {
            request.metadata_mut().insert("authorization", MetadataValue::try_from(header.as_str()).expect("base64 is ASCII"));
        }
        let path = PathAndQuery::try_from(path.to_owned()).expect("a path");
        client.streaming(request, path, ProstCodec::<(), ()>::default()).await.map(tonic::Response::into_inner)
    }

    fn wait<T>(&self, asked: impl Future<Output = T>) -> T {
        let bounded = async { tokio::time::timeout(LIMIT, asked).await };
        self.runtime.block_on(bounded).expect("every call is answered in time")
    }
}

impl Watching {
    /// Waits for its end.
    pub(super) fn end(mut self) -> Status {
        let read = async {
            loop {
                match self.stream.message().await {
                    Ok(Some(())) => {}
                    Ok(None) => return Status::ok(""),
                    Err(status) => return status,
                }
            }
        };
        self.runtime.block_on(async { tokio::time::timeout(LIMIT, read).await }).expect("the watch ends in time")
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
