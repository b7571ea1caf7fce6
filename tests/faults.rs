//! Proof by fault injection: real processes in network namespaces.
#[path = "kit/mod.rs"]
mod kit;

#[path = "faults/network.rs"]
mod network;
