//! Scripts and webhooks: real processes and a real HTTP receiver, before a real `machine::State`; pauses are shortened.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "hooks/receiver.rs"]
mod receiver;
#[path = "hooks/scripts.rs"]
mod scripts;
#[path = "hooks/webhooks.rs"]
mod webhooks;
#[path = "hooks/world.rs"]
mod world;
