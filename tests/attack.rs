//! The release's doors, tried from outside: as a stranger, as a small client, as a rogue server, as a peer that is none.
//!
//! The modules lie in `tests/attack/`, one a kind of attacker; each test is one row of the table in `docs/security.md`. Real
//! processes only. A test says what the attacker had, what he tried, and what must have been left untouched.

#[path = "kit/mod.rs"]
mod kit;

#[path = "attack/daemon.rs"]
mod daemon;
#[path = "attack/leaning.rs"]
mod leaning;
#[path = "attack/peers.rs"]
mod peers;
#[path = "attack/replicas.rs"]
mod replicas;
#[path = "attack/scripts.rs"]
mod scripts;
#[path = "attack/secrets.rs"]
mod secrets;
#[path = "attack/talk.rs"]
mod talk;
#[path = "attack/users.rs"]
mod users;
#[path = "attack/values.rs"]
mod values;
