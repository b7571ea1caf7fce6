//! The standard services: health and reflection.

use raft_sentinel::raft::Leadership;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::world::{World, soon};

#[tokio::test]
async fn health_follows_the_leadership() {
    let world = World::start().await;
    for service in ["", "raftsentinel.v1.Sentinel"] {
        let mut health = HealthClient::new(world.channel().await);
        let mut followed = health.watch(HealthCheckRequest { service: service.to_owned() }).await.unwrap().into_inner();
        for (leadership, expected) in [
            (Leadership::Leading { term: 1 }, ServingStatus::Serving),
            (Leadership::Unknown, ServingStatus::NotServing),
            (Leadership::Following { leader: raft_sentinel::base::NodeId(2) }, ServingStatus::Serving),
        ] {
            world.fake.lead(leadership);
            let reached = async { while followed.message().await.unwrap().unwrap().status() != expected {} };
            soon("the expected health", reached).await;
        }
    }
}

#[tokio::test]
async fn reflection_lists_the_services_and_hides_the_peers() {
    let world = World::start().await;
    let mut reflection = ServerReflectionClient::new(world.channel().await);
    let question = ServerReflectionRequest { host: String::new(), message_request: Some(MessageRequest::ListServices(String::new())) };
    let mut answers = reflection.server_reflection_info(tokio_stream::once(question)).await.unwrap().into_inner();
    let answer = soon("an answer", answers.message()).await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
    let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    names.retain(|name| !name.starts_with("grpc.reflection."));
    assert_eq!(names, ["grpc.health.v1.Health", "raftsentinel.admin.v1.Admin", "raftsentinel.v1.Sentinel"]);
}
