//! What each call needs: one table for all services of the port.
//!
//! A call has a category, and the commands of the SENTINEL port that do the same. A user may make a call if he may use all of those, so that the two
//! ports never differ in what a user can do: the rules that operators write for one hold for the other.

use crate::serve::users::{Category, RequestNeed};

/// The counterpart of calls that change who belongs to the cluster, or who leads a group: none is as powerful, so all of these are needed.
const ALL_OF_IT: &[&[&str]] = &[&["sentinel|monitor"], &["sentinel|remove"], &["sentinel|set"], &["sentinel|failover"]];
const MASTERS: &[&[&str]] = &[&["sentinel|masters"]];
const FAILOVER: &[&[&str]] = &[&["sentinel|failover"]];

/// Who changed what: as ACL LOG, it is for those who look after the sentinels.
pub(super) const HISTORY: RequestNeed = need("History", Category::Operate, &[&["acl|log"]]);

/// A service's name and its rows.
type Service = (&'static str, &'static [RequestNeed]);

const fn need(name: &'static str, category: Category, commands: &'static [&'static [&'static str]]) -> RequestNeed {
    RequestNeed { name, category, commands }
}

#[rustfmt::skip]
const SERVICES: &[Service] = &[
    ("raftsentinel.v1.Sentinel", &[
        need("GetMaster",       Category::Read,       &[&["sentinel|get-master-addr-by-name"]]),
        need("ListMasters",     Category::Read,       MASTERS),
        need("ListReplicas",    Category::Read,       &[&["sentinel|replicas"]]),
        // The event that is followed, on the channel on which it is told.
        need("WatchMasters",    Category::Watch,      &[&["subscribe", "+switch-master"]]),
        need("ListDecisions",   Category::Read,       MASTERS),
        need("ShadowReport",    Category::Read,       MASTERS),
        need("Status",          Category::Read,       MASTERS),
    ]),
    ("raftsentinel.admin.v1.Admin", &[
        need("ListMembers",     Category::Read,       &[&["sentinel|sentinels"]]),
        need("RequestFailover", Category::Operate,    FAILOVER),
        need("Switchover",      Category::Operate,    FAILOVER),
        need("ForgetReplica",   Category::Operate,    &[&["sentinel|forget"]]),
        need("AdoptReplica",    Category::Operate,    &[&["sentinel|adopt"]]),
        HISTORY,
        need("MonitorGroup",    Category::Administer, &[&["sentinel|monitor"]]),
        need("RemoveGroup",     Category::Administer, &[&["sentinel|remove"]]),
        need("SetOptions",      Category::Administer, &[&["sentinel|set"]]),
        need("AddLearner",      Category::Administer, ALL_OF_IT),
        need("Promote",         Category::Administer, ALL_OF_IT),
        need("RemoveMember",    Category::Administer, ALL_OF_IT),
        need("ReplaceMember",   Category::Administer, ALL_OF_IT),
        need("MoveMember",      Category::Administer, ALL_OF_IT),
        need("HandOver",        Category::Administer, ALL_OF_IT),
        need("Recover",         Category::Administer, ALL_OF_IT),
        need("TakeOver",        Category::Administer, ALL_OF_IT),
        need("StandDown",       Category::Administer, ALL_OF_IT),
        need("SealSecrets",     Category::Administer, ALL_OF_IT),
    ]),
    // Load balancers ask these, and learn nothing but whether to send clients here.
    ("grpc.health.v1.Health", &[
        need("Check",           Category::Open,       &[]),
        need("Watch",           Category::Open,       &[]),
    ]),
    ("grpc.reflection.v1.ServerReflection",      &[need("ServerReflectionInfo", Category::Read, &[&["sentinel|get-master-addr-by-name"]])]),
    ("grpc.reflection.v1alpha.ServerReflection", &[need("ServerReflectionInfo", Category::Read, &[&["sentinel|get-master-addr-by-name"]])]),
];

/// What the call at `/service/method` needs; none if there is no such call.
pub(super) fn of(path: &str) -> Option<&'static RequestNeed> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let (_, needs) = SERVICES.iter().find(|(name, _)| *name == service)?;
    needs.iter().find(|need| need.name == method)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;
    use crate::serve::resp::command;

    /// Every method of these descriptors, as a path.
    fn methods(descriptors: &[u8]) -> BTreeSet<String> {
        let set = FileDescriptorSet::decode(descriptors).expect("descriptors decode");
        let services = set.file.iter().flat_map(|file| file.service.iter().map(move |service| (file.package(), service)));
        services
            .flat_map(|(package, service)| {
                service.method.iter().map(move |method| format!("/{package}.{}/{}", service.name(), method.name()))
            })
            .collect()
    }

    #[test]
    fn every_call_of_the_port_has_one_row_and_every_row_is_a_call() {
        let rows: Vec<String> =
            SERVICES.iter().flat_map(|(service, needs)| needs.iter().map(move |need| format!("/{service}/{}", need.name))).collect();
        let unique: BTreeSet<String> = rows.iter().cloned().collect();
        assert_eq!(rows.len(), unique.len(), "a call has two rows");
        let mut served = methods(crate::proto::DESCRIPTORS);
        // Peers have a port of their own.
        served.retain(|path| !path.starts_with("/raftsentinel.peer."));
        served.extend(methods(tonic_health::pb::FILE_DESCRIPTOR_SET));
        served.extend(methods(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET));
        served.extend(methods(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET));
        assert_eq!(unique, served);
        for path in &served {
            assert!(of(path).is_some(), "{path}");
        }
        assert_eq!(of("/raftsentinel.v1.Sentinel/Nothing"), None);
        assert_eq!(of("/raftsentinel.peer.v1.Peer/Append"), None);
        assert_eq!(of(""), None);
    }

    #[test]
    fn the_rows_name_commands_that_exist_and_all_but_the_open_ones_need_some() {
        for need in SERVICES.iter().flat_map(|(_, needs)| *needs) {
            assert_eq!(need.commands.is_empty(), need.category == Category::Open, "{}", need.name);
            for words in need.commands {
                assert_eq!(command::canonical(words[0]).as_deref(), Some(words[0]), "{}", need.name);
            }
        }
    }
}
