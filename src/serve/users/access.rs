//! Who asks, and whether he may: one rule for the SENTINEL port, gRPC and HTTP.
//!
//! A caller proves who he is with a password or, where that is configured, with a certificate that names a user. One who proves nothing is user
//! `default`, if that needs no password; then it matters where he calls from.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::basic::Basic;
use super::logins::{Logins, Ruling};
use super::{Acl, DEFAULT, Denial, Occasion};
use crate::base::said;
use crate::clock::Clock;
use crate::conf::{CertificateUser, GrpcAccess};
use crate::serve::Endpoint;
use crate::tls::CertificateNames;

/// A wrong password from this host is answered so late, once there were many.
const SLOW: Duration = Duration::from_secs(1);

/// The port that somebody came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// The SENTINEL protocol.
    Sentinel,
    /// gRPC.
    Grpc,
    /// Metrics and health.
    Http,
}

impl Port {
    /// All of them, in the order of the counters.
    pub const ALL: [Self; 3] = [Self::Sentinel, Self::Grpc, Self::Http];

    /// Its name in metrics and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sentinel => "sentinel",
            Self::Grpc => "grpc",
            Self::Http => "http",
        }
    }
}

/// How much a request may do. It decides where no user does; what a user may do is said by the commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Category {
    /// Says nothing but that this process works.
    Open,
    /// Answers.
    Read,
    /// Follows changes.
    Watch,
    /// Acts on the data nodes within what is configured, or shows who did.
    Operate,
    /// Changes what is configured, and who belongs to the cluster.
    Administer,
}

impl Category {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Watch => "watch",
            Self::Operate => "operate",
            Self::Administer => "administer",
        }
    }

    const fn changes(self) -> bool {
        matches!(self, Self::Operate | Self::Administer)
    }
}

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestNeed {
    /// Its name for people.
    pub(crate) name: &'static str,
    pub(crate) category: Category,
    /// Commands of the SENTINEL port that do the same: the caller's user must be allowed all of them. Words after the first are arguments.
    pub(crate) commands: &'static [&'static [&'static str]],
}

/// A request's origin and what came with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival<'a> {
    pub(crate) port: Port,
    pub(crate) peer: &'a Endpoint,
    /// The header or metadata `authorization`.
    pub(crate) authorization: Option<&'a [u8]>,
    /// Names in a certificate that was verified.
    pub(crate) certificate: Option<&'a CertificateNames>,
}

/// How a caller proved who he is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LoginProof {
    /// By a password, or a certificate that names him.
    Given,
    /// By nothing, but some certificate of the authority was shown.
    AnyCertificate,
    None,
}

/// Somebody whose request was let in so far.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) user: String,
    pub(crate) peer: Endpoint,
    pub(crate) port: Port,
    proof: LoginProof,
}

/// Why a request is turned away.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// A password is asked for.
    #[error("{0}")]
    Unauthenticated(String),
    /// Whoever it is, not this.
    #[error("{0}")]
    Denied(String),
    /// Too many wrong passwords.
    #[error("too many wrong passwords came from your address; wait {0} s before you try another one")]
    TooMany(u64),
}

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadLogin {
    /// It is wrong, or there is no such user; to be answered after this time.
    Wrong(Duration),
    /// It was not even compared; seconds until it would be.
    TooMany(u64),
}

/// Failed logins of one port.
#[derive(Debug, Default)]
struct Count {
    failed: AtomicU64,
    refused: AtomicU64,
}

/// The users, and the rules for those who are none.
#[derive(Debug)]
pub struct Access {
    acl: Arc<Acl>,
    protected: bool,
    rules: GrpcAccess,
    clock: Clock,
    logins: Mutex<Logins>,
    counts: [Count; Port::ALL.len()],
}

impl Access {
    /// `protected` is `protected-mode`.
    pub fn new(acl: Arc<Acl>, protected: bool, rules: GrpcAccess, clock: Clock) -> Self {
        Self { acl, protected, rules, clock, logins: Mutex::default(), counts: std::array::from_fn(|_| Count::default()) }
    }

    /// The users.
    pub(crate) fn acl(&self) -> &Arc<Acl> {
        &self.acl
    }

    /// Whether `protected-mode` turns away everybody from there who has no password to say.
    pub(crate) fn is_protected_from(&self, peer: &Endpoint) -> bool {
        self.protected && !peer.is_here() && self.acl.open()
    }

    /// Takes a user's password, or says why not. `client` is how ACL LOG describes the client.
    pub(crate) fn login(&self, arrival: &Arrival<'_>, user: &[u8], password: &[u8], client: String, with: &[u8]) -> Result<(), BadLogin> {
        let right = self.acl.admits(user, password);
        let now = self.clock.mono();
        let Arrival { port, peer, .. } = arrival;
        let mut logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        let ruling = logins.rule(peer, user, password, right, now);
        if right && ruling == Ruling::Compared {
            return Ok(());
        }
        let (report, slow) = (logins.report(peer, now), logins.is_slow(peer) && peer.is_here());
        drop(logins);
        let count = &self.counts[*port as usize];
        count.failed.fetch_add(1, Ordering::Relaxed);
        self.acl.log().note(Denial::auth(with), Occasion { user, client, now, wall: self.clock.wall() });
        if let Some(report) = report {
            let (from, user) = (origin(peer), said(&String::from_utf8_lossy(user)));
            let more =
                if report.failures > 1 { format!(" ({} failures since the last such line)", report.failures) } else { String::new() };
            tracing::warn!("a login as {user} on the {} port from {from} failed{more}", port.as_str());
        }
        match ruling {
            Ruling::TooMany(wait_ms) => {
                count.refused.fetch_add(1, Ordering::Relaxed);
                Err(BadLogin::TooMany(wait_ms.div_ceil(1000)))
            }
            Ruling::Compared => Err(BadLogin::Wrong(if slow { SLOW } else { Duration::ZERO })),
        }
    }

    /// Finds out who asks, and whether he may.
    pub(crate) async fn caller(&self, arrival: Arrival<'_>, need: &RequestNeed) -> Result<Caller, Refusal> {
        if need.category == Category::Open {
            return Ok(Caller { user: String::new(), peer: arrival.peer.clone(), port: arrival.port, proof: LoginProof::None });
        }
        let caller = self.identify(arrival).await?;
        self.permit(&caller, need).map(|()| caller)
    }

    async fn identify(&self, arrival: Arrival<'_>) -> Result<Caller, Refusal> {
        let caller = |user: &str, proof| Caller { user: user.to_owned(), peer: arrival.peer.clone(), port: arrival.port, proof };
        if let Some(header) = arrival.authorization {
            let basic = Basic::parse(header).ok_or_else(|| {
                Refusal::Unauthenticated("the authorization is not 'Basic' with user:password in base64, the only scheme here".to_owned())
            })?;
            let client = format!("addr={} port={}", arrival.peer, arrival.port.as_str());
            return match self.login(&arrival, &basic.user, &basic.password, client, b"AUTH") {
                // The users' names are UTF-8: one that is not would not have been let in.
                Ok(()) => {
                    let user = String::from_utf8_lossy(&basic.user);
                    // A user with nopass proves nothing: everybody may be that one.
                    let proof = if self.acl.is_open(&user) { LoginProof::None } else { LoginProof::Given };
                    Ok(caller(&user, proof))
                }
                Err(BadLogin::TooMany(wait_s)) => Err(Refusal::TooMany(wait_s)),
                Err(BadLogin::Wrong(pause)) => {
                    if !pause.is_zero() {
                        tokio::time::sleep(pause).await;
                    }
                    Err(Refusal::Unauthenticated("the password is wrong, or the user unknown or off".to_owned()))
                }
            };
        }
        if let Some(names) = arrival.certificate
            && let Some(user) = self.user_of(names)
        {
            return Ok(caller(&user, LoginProof::Given));
        }
        if self.acl.open() {
            return Ok(caller(DEFAULT, if arrival.certificate.is_some() { LoginProof::AnyCertificate } else { LoginProof::None }));
        }
        Err(Refusal::Unauthenticated(match arrival.certificate {
            Some(names) if self.rules.certificate_user != CertificateUser::No => format!(
                "no user of this sentinel is named as your certificate is ({}): make one (user lines, ACL SETUSER), or say a user and a password",
                said(&names.shown())
            ),
            _ => "this sentinel asks for a user and a password (authorization: Basic)".to_owned(),
        }))
    }

    /// The user whom a certificate names.
    fn user_of(&self, names: &CertificateNames) -> Option<String> {
        let mut known = match self.rules.certificate_user {
            CertificateUser::No => return None,
            CertificateUser::Cn => names.common.iter().filter(|name| self.acl.is_on(name)).collect::<Vec<_>>(),
            CertificateUser::San => names.alternatives.iter().filter(|name| self.acl.is_on(name)).collect(),
        };
        known.dedup();
        // Two names of two users: which of them is meant cannot be told.
        match known[..] {
            [name] => Some(name.clone()),
            _ => None,
        }
    }

    /// Whether a caller may do this.
    fn permit(&self, caller: &Caller, need: &RequestNeed) -> Result<(), Refusal> {
        self.without_password(caller, need)?;
        need.commands.iter().try_for_each(|words| self.check(caller, need, words))
    }

    /// What one who proved nothing may do from where he is.
    fn without_password(&self, caller: &Caller, need: &RequestNeed) -> Result<(), Refusal> {
        let (here, name) = (caller.peer.is_here(), need.name);
        if self.protected && !here && caller.proof != LoginProof::Given {
            return Err(Refusal::Denied(format!(
                "{name} is refused: protected-mode is on and you gave no password, so only the host that this sentinel runs on may ask. Set requirepass or \
                 users on the sentinels and say a user and a password, or set protected-mode no"
            )));
        }
        if need.category.changes() {
            match caller.proof {
                LoginProof::AnyCertificate if !self.rules.admin_with_any_certificate => {
                    return Err(Refusal::Denied(format!(
                        "{name} is refused: a certificate alone may read and watch. Say a user and a password, let certificates name users (grpc \
                         tls-auth-user cn), or let every certificate of the authority change the cluster (grpc admin-with-any-certificate yes)"
                    )));
                }
                LoginProof::None if !here && !self.rules.admin_without_password => {
                    return Err(Refusal::Denied(format!(
                        "{name} is refused: without a password it is only for the host that this sentinel runs on. Set requirepass or users on the \
                         sentinels and say a user and a password; or, in a closed network, set grpc admin-without-password yes"
                    )));
                }
                LoginProof::Given | LoginProof::AnyCertificate | LoginProof::None => {}
            }
        }
        Ok(())
    }

    /// Whether a caller may do this, besides what was asked for: a no is no denial.
    pub(crate) fn may(&self, caller: &Caller, need: &RequestNeed) -> bool {
        self.without_password(caller, need).is_ok()
            && need.commands.iter().all(|words| {
                let given: Vec<Bytes> = words.iter().map(|word| Bytes::from_static(word.as_bytes())).collect();
                self.acl.check(&caller.user, words.first().copied().unwrap_or_default(), false, &given).is_ok()
            })
    }

    fn check(&self, caller: &Caller, need: &RequestNeed, words: &[&'static str]) -> Result<(), Refusal> {
        let command = words.first().copied().unwrap_or_default();
        let given: Vec<Bytes> = words.iter().map(|word| Bytes::from_static(word.as_bytes())).collect();
        let Err(denial) = self.acl.check(&caller.user, command, false, &given) else { return Ok(()) };
        let (now, wall) = (self.clock.mono(), self.clock.wall());
        let client = format!("addr={} port={} cmd={}", caller.peer, caller.port.as_str(), need.name);
        self.acl.log().note(denial, Occasion { user: caller.user.as_bytes(), client, now, wall });
        let channel = words.get(1).map_or_else(String::new, |channel| format!(" &{channel}"));
        Err(Refusal::Denied(format!(
            "user {user} may not {category} ({name}): that needs the right to {command} on the SENTINEL port. Grant it with '+{command}{channel}' in the \
             user's line or ACL SETUSER, or ask as another user",
            user = said(&caller.user),
            category = need.category.as_str(),
            name = need.name,
        )))
    }

    /// Waits until a caller may no longer do this, since the users have changed.
    pub(crate) async fn revoked(self: Arc<Self>, caller: Caller, need: RequestNeed) -> Refusal {
        let mut users: watch::Receiver<u64> = self.acl.changes();
        loop {
            let known = if caller.proof == LoginProof::Given { self.acl.is_on(&caller.user) } else { self.acl.is_open(&caller.user) };
            if !known {
                return Refusal::Unauthenticated("the users have changed: say a user and a password".to_owned());
            }
            if let Err(refusal) = self.permit(&caller, &need) {
                return refusal;
            }
            if users.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Failed logins of a port, and those of them that were refused unseen, since this process started.
    pub(crate) fn counts(&self, port: Port) -> (u64, u64) {
        let count = &self.counts[port as usize];
        (count.failed.load(Ordering::Relaxed), count.refused.load(Ordering::Relaxed))
    }
}

fn origin(peer: &Endpoint) -> String {
    match peer {
        Endpoint::Ip(addr) => addr.ip().to_canonical().to_string(),
        Endpoint::Unix(_) => "this host".to_owned(),
    }
}
