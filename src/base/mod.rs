//! Words that every room shares: ids, addresses, spans of time, settings, limits and observations.
//!
//! Everything here is a plain value: no clock is read, no socket opened, nothing logged. Rooms that
//! decide (`machine`, `judge`) and rooms that act (`probe`, `agent`, `serve`) meet in these types.
//! What a word *means for the cluster* does not live here; that is `machine`.

pub mod addr;
pub mod calls;
pub mod commands;
pub mod fence;
pub mod hello;
pub mod hello_observation;
pub mod ids;
pub mod limits;
pub mod observation;
pub mod paces;
pub mod parameters;
pub mod places;
pub mod rights;
pub mod said;
pub mod sealed;
pub mod secret;
pub mod seed;
pub mod server;
pub mod settings;
pub mod standing;
pub mod time;
pub mod tls;
pub mod told;
pub mod webhook;

pub use addr::Addr;
pub use calls::{CallRules, ScriptKind};
pub use fence::{Fence, FenceSight};
pub use hello::{Hello, HelloTemplate};
pub use hello_observation::{HelloObservation, NoChannel, OnChannel};
pub use ids::{ClusterId, Epoch, GroupName, Incarnation, LogIndex, NodeId, ReplId, RunId, SentinelId};
pub use places::ForeignPlaces;
pub use rights::{Order, Refusals};
pub use said::{said, said_plainly};
pub use sealed::{Sealed, StoredSecret, StoredWebhook};
pub use secret::{Credentials, Secret};
pub use seed::GroupSeed;
pub use settings::GroupSettings;
pub use standing::Standing;
pub use time::{Mono, WallTime};
pub use tls::{ClientCertificates, KeyPair, PeerNames, TLS_SUITES, TlsSettings, TlsVersion};
pub use webhook::{BadWebhookUrl, WebhookUrl};
