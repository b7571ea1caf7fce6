//! Which sentinel is asked: one after the other until one can answer, the leader where it takes the leader.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::bail;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use super::command::{Login, Target, TlsTarget};
use super::login::Credentials;
use super::unanswered::{FailedTarget, Unanswered};
use crate::base::{Addr, KeyPair, TlsSettings};
use crate::tls::{self, ClientTls};
use crate::transport::Dial;

/// To make a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// For a question.
pub(super) const ASK_LIMIT: Duration = Duration::from_secs(10);
/// For a change of members, which waits until a new one has caught up.
pub(super) const MEMBERS_LIMIT: Duration = Duration::from_secs(180);
/// Largest answer: a cluster with thousands of groups.
pub(crate) const ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// Sentinels asked in one call at most, hints included, so that two that point at each other do not keep us.
const ATTEMPTS: usize = 16;

/// A connection on which each call says who asks.
pub(crate) type Line = InterceptedService<Channel, Credentials>;

/// How sentinels are reached, and as whom.
pub(crate) struct Route {
    dial: Dial,
    credentials: Credentials,
}

impl Route {
    /// Reads what was typed.
    ///
    /// # Errors
    /// When the files that were named for TLS or the password cannot be used.
    pub(crate) fn new(tls: &TlsTarget, login: &Login, addrs: &[Addr]) -> anyhow::Result<Self> {
        let credentials = Credentials::find(login)?;
        credentials.warn(tls.tls, addrs);
        Ok(Self { dial: dial(tls)?, credentials })
    }

    /// Makes a connection to one sentinel.
    pub(crate) async fn connect(&self, addr: &Addr, limit: Option<Duration>) -> Result<Line, Status> {
        let channel = connect(&self.dial, addr, limit).await?;
        Ok(InterceptedService::new(channel, self.credentials.clone()))
    }
}

/// How the sentinels are to be reached.
///
/// # Errors
/// When the files that were named for TLS cannot be used.
fn dial(target: &TlsTarget) -> anyhow::Result<Dial> {
    let TlsTarget { tls, cacert, cert, key } = target;
    let load = || {
        let pair = cert.as_ref().zip(key.as_ref()).map(|(cert, key)| KeyPair { cert: cert.clone(), key: key.clone() });
        ClientTls::load_h2("connections to sentinels", &TlsSettings { client: pair, ca_file: cacert.clone(), ..TlsSettings::default() })
    };
    if *tls && cacert.is_none() {
        bail!("--tls needs --cacert FILE, to know whose sentinels to trust");
    }
    if cert.is_some() != key.is_some() {
        bail!("--cert and --key belong together");
    }
    Ok(Dial { tls: tls.then(load).transpose()?, proof: None, within: CONNECT_LIMIT })
}

async fn connect(dial: &Dial, addr: &Addr, limit: Option<Duration>) -> Result<Channel, Status> {
    let bad = |error: tonic::transport::Error| Status::unavailable(format!("cannot connect: {}", root_cause(&error)));
    let endpoint = dial.endpoint(addr).map_err(bad)?;
    let endpoint = endpoint.http2_keep_alive_interval(Duration::from_secs(10)).keep_alive_timeout(Duration::from_secs(5));
    let endpoint = limit.map_or(endpoint.clone(), |limit| endpoint.timeout(limit));
    dial.connect(&endpoint).await.map_err(bad)
}

/// Asks the sentinels in order until one answers. A refusal is an [`Unanswered`].
///
/// The next one is asked only where the last one certainly did nothing: it could not be reached, it said UNAVAILABLE, or it
/// named the leader. Every other refusal is final.
pub(super) async fn ask<T>(
    target: &Target,
    limit: Duration,
    call: impl AsyncFn(Line) -> Result<Response<T>, Status>,
) -> anyhow::Result<(Addr, T)> {
    let access = Route::new(&target.tls, &target.login, &target.addr)?;
    let mut left: VecDeque<Addr> = target.addr.iter().cloned().collect();
    let mut tried: Vec<FailedTarget> = Vec::new();
    while let Some(addr) = left.pop_front() {
        if tried.len() >= ATTEMPTS || tried.iter().any(|attempt| attempt.addr == addr) {
            continue;
        }
        let (connected, answer) = match access.connect(&addr, Some(limit)).await {
            Ok(channel) => (true, call(channel).await),
            Err(status) => (false, Err(status)),
        };
        let status = match answer {
            Ok(response) => return Ok((addr, response.into_inner())),
            Err(status) => status,
        };
        match (status.code(), leader_hint(&status)) {
            (_, Some(leader)) => left.push_front(leader),
            (Code::Unavailable, None) => {}
            (_, None) => return Err(Unanswered::refused(addr, status).into()),
        }
        tried.push(FailedTarget { addr, connected, status });
    }
    Err(Unanswered::by_all(tried).into())
}

/// Where the leader answers, if this refusal names it.
fn leader_hint(status: &Status) -> Option<Addr> {
    if status.code() != Code::FailedPrecondition {
        return None;
    }
    status.metadata().get("leader-grpc")?.to_str().ok()?.parse().ok()
}

/// A refusal for people.
pub(crate) fn phrase(status: &Status) -> String {
    if let Some(why) = tls::cause(status) {
        return format!("no TLS connection: {why}");
    }
    match status.code() {
        Code::Unknown | Code::Internal | Code::Cancelled => format!(
            "{} (the connection broke; the outcome is unknown). If it asks for TLS (grpc tls yes), its log says why it turns us away: \
             see --tls, --cacert, --cert and --key",
            status.message()
        ),
        Code::Unauthenticated => format!(
            "{}. Say who asks with --user NAME and --password-file FILE (or RAFT_SENTINEL_USER and RAFT_SENTINEL_PASSWORD_FILE)",
            status.message()
        ),
        _ => status.message().to_owned(),
    }
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
