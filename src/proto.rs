//! The generated messages and services of `proto/`. Nothing is written here by hand.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated code")]

/// Between sentinels (`proto/peer.proto`).
pub mod peer {
    tonic::include_proto!("raftsentinel.peer.v1");
}

/// For clients (`proto/sentinel.proto`).
pub mod sentinel {
    tonic::include_proto!("raftsentinel.v1");
}

/// For operators (`proto/admin.proto`).
pub mod admin {
    tonic::include_proto!("raftsentinel.admin.v1");
}

/// The descriptors of all of them, for server reflection.
pub const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("raft_sentinel");
