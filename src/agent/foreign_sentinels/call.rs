//! One call-back: asks the address that a hello names who it is, and which master it watches.
//!
//! A hello may be anybody's, and so may the address in it. A password is therefore shown to addresses that this sentinel's own file
//! names, and to no others; all that is sent besides are questions that change nothing. It takes one connection and at most
//! [`LIMIT`].

use std::net::IpAddr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::base::observation::LinkLoss;
use crate::base::places::{literal, refusal_of};
use crate::base::{Addr, Credentials, RunId, SentinelId};
use crate::redis::wire::{Bounds, Reply, excerpt};
use crate::redis::{Dialer, Link, ServerAccess};
use crate::tls::ClientTls;

/// Why a hello that names a member by another id is not believed: goes on from the address.
pub(super) const OF_MEMBER: &str = "is that of a sentinel of this cluster";
/// How long a whole call may take.
const LIMIT: Duration = Duration::from_millis(2000);
/// What an answer may be: SENTINEL SLAVES has an array of some eighty texts for each replica.
const BOUNDS: Bounds = Bounds { elements: 512, bytes: 512 * 1024, depth: 3 };

/// A call to be made.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) addr: Addr,
    pub(super) asks: Vec<Ask>,
    /// Whether the file names the address.
    pub(super) trusted: bool,
    /// What is shown to it then.
    pub(super) credentials: Credentials,
    pub(super) client_name: String,
    pub(super) tls: Option<ClientTls>,
    /// Where the members of this cluster answer. One that wants a password cannot be told from another's sentinel by what it says.
    pub(super) members: Vec<Addr>,
}

/// One question of a call: does it watch these servers?
#[derive(Clone, Debug)]
pub(super) struct Ask {
    /// Who it should be.
    pub(super) sentinel: SentinelId,
    /// The name that it has for the master.
    pub(super) theirs: String,
    /// The servers of the group, by every address under which they are known here.
    pub(super) servers: Vec<Addr>,
    /// The processes that run there.
    pub(super) runs: Vec<RunId>,
    /// Where the hello was heard.
    pub(super) here: Addr,
}

/// What an answer proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AnswerProof {
    /// It is who the hello says, and watches these servers.
    Watches,
    /// It is a sentinel, and lets nobody in without a password that it may not be shown, or that is another.
    Locked,
    /// It is there, and not what the hello says.
    Refuted(String),
    /// Nothing: it is not there, or does not answer.
    Silent(String),
}

impl Call {
    /// Makes the call; one proof for each question.
    pub(super) async fn make(&self) -> Vec<AnswerProof> {
        let proofs = timeout(LIMIT, self.ask_all()).await;
        let all = |proof: AnswerProof| self.asks.iter().map(|_| proof.clone()).collect();
        match proofs {
            Ok(Ok(proofs)) => proofs,
            Ok(Err(proof)) => all(proof),
            Err(_) => all(AnswerProof::Silent("does not answer in time".to_owned())),
        }
    }

    async fn ask_all(&self) -> Result<Vec<AnswerProof>, AnswerProof> {
        let mut dialer = Dialer::new(self.target().await?);
        let access = ServerAccess { client_name: self.client_name.clone(), tls: self.tls.clone(), ..ServerAccess::default() };
        let access = if self.trusted {
            ServerAccess { auth_user: self.credentials.user.clone(), auth_pass: self.credentials.pass.clone(), ..access }
        } else {
            access
        };
        let mut link = Link::connect(&mut dialer, access, LIMIT).await.map_err(silent)?;
        for _ in 0..link.introduce().await.map_err(silent)? {
            answer(&mut link).await?;
        }
        let myid = ask(&mut link, &["SENTINEL", "MYID"]).await?;
        if is_locked(&myid) {
            let proof = locked(&mut link).await?;
            return Ok(self.asks.iter().map(|_| proof.clone()).collect());
        }
        let mut proofs = Vec::with_capacity(self.asks.len());
        for question in &self.asks {
            proofs.push(match identity(&myid, &question.sentinel) {
                Ok(()) => watches(&mut link, question).await?,
                Err(refuted) => refuted,
            });
        }
        Ok(proofs)
    }

    /// The address to connect to: a name is looked up once, and what it stands for is checked and then called.
    async fn target(&self) -> Result<Addr, AnswerProof> {
        let found = self.called().await?;
        for member in self.members.iter().filter(|member| member.port() == self.addr.port()) {
            if found.iter().any(|ip| stands_for(ip, member)) || meets(&found, member).await {
                return Err(AnswerProof::Refuted(OF_MEMBER.to_owned()));
            }
        }
        if self.trusted || literal(self.addr.host()).is_some() {
            return Ok(self.addr.clone());
        }
        let unresolved = || AnswerProof::Silent("has a name that stands for no address".to_owned());
        let first = *found.first().ok_or_else(unresolved)?;
        let here = self.asks.first().map_or_else(Addr::nobody, |question| question.here.clone());
        match refusal_of(first, &here) {
            None => Addr::new(first.to_canonical().to_string(), self.addr.port()).map_err(|_| unresolved()),
            Some(why) => Err(AnswerProof::Refuted(format!("has a name that stands for an address {why}"))),
        }
    }

    /// The addresses that the called host stands for.
    async fn called(&self) -> Result<Vec<IpAddr>, AnswerProof> {
        if let Some(ip) = literal(self.addr.host()) {
            return Ok(vec![ip]);
        }
        let found = lookup_host((self.addr.host(), self.addr.port())).await;
        let found = found.map_err(|_| AnswerProof::Silent("has a name that stands for no address".to_owned()))?;
        Ok(found.map(|addr| addr.ip().to_canonical()).collect())
    }
}

fn stands_for(ip: &IpAddr, member: &Addr) -> bool {
    literal(member.host()).is_some_and(|of_member| of_member == *ip)
}

/// Whether a member that is known by a name answers at one of these addresses.
async fn meets(called: &[IpAddr], member: &Addr) -> bool {
    if literal(member.host()).is_some() {
        return false;
    }
    let Ok(mut found) = lookup_host((member.host(), member.port())).await else { return false };
    found.any(|addr| called.contains(&addr.ip().to_canonical()))
}

async fn ask(link: &mut Link, words: &[&str]) -> Result<Reply, AnswerProof> {
    link.send(&[words.iter().map(|&word| word.to_owned()).collect()]).await.map_err(silent)?;
    answer(link).await
}

async fn answer(link: &mut Link) -> Result<Reply, AnswerProof> {
    link.next_within(BOUNDS).await.map_err(silent)
}

fn silent(loss: LinkLoss) -> AnswerProof {
    AnswerProof::Silent(match loss {
        LinkLoss::Refused => "refuses connections".to_owned(),
        LinkLoss::Closed => "closes the connection".to_owned(),
        LinkLoss::TimedOut => "does not answer in time".to_owned(),
        LinkLoss::Local(lack) => lack.as_str().to_owned(),
        LinkLoss::Unresolved(why) | LinkLoss::Credentials(why) | LinkLoss::Other(why) => excerpt(&why),
    })
}

fn is_locked(reply: &Reply) -> bool {
    matches!(reply, Reply::Error(text) if ["NOAUTH", "NOPERM", "WRONGPASS"].iter().any(|code| text.starts_with(code)))
}

/// One that wants a password first still tells which commands it has: Redis looks for a command before it looks for a user. A sentinel
/// knows SENTINEL and not GET; a data node, which anybody could name as well, has it the other way round.
async fn locked(link: &mut Link) -> Result<AnswerProof, AnswerProof> {
    let unknown = |reply: &Reply| matches!(reply, Reply::Error(text) if text.starts_with("ERR unknown command"));
    let get = ask(link, &["GET", "x"]).await?;
    Ok(if unknown(&get) { AnswerProof::Locked } else { AnswerProof::Refuted("wants a password, and is no sentinel".to_owned()) })
}

/// Whether it is who it should be. Sentinels before 6.2 cannot say; that they are there is what counts.
fn identity(myid: &Reply, expected: &SentinelId) -> Result<(), AnswerProof> {
    match myid {
        Reply::Bulk(id) if id == expected.as_str() => Ok(()),
        Reply::Bulk(_) => Err(AnswerProof::Refuted("is another sentinel than the hello says".to_owned())),
        Reply::Error(text) if text.to_ascii_lowercase().contains("unknown sentinel subcommand") => Ok(()),
        _ => Err(AnswerProof::Refuted("is no sentinel".to_owned())),
    }
}

/// Whether the master that it watches by that name, or one of that master's replicas, is a server of the group: by its address, or by its
/// run id where both know the address by other words.
async fn watches(link: &mut Link, question: &Ask) -> Result<AnswerProof, AnswerProof> {
    let ours = |fields: &Reply| {
        let at = field(fields, "ip").zip(field(fields, "port"));
        let same_address =
            at.is_some_and(|(ip, port)| question.servers.iter().any(|known| known.host() == ip && known.port().to_string() == port));
        same_address || field(fields, "runid").is_some_and(|run| question.runs.iter().any(|known| known.as_str() == run))
    };
    match ask(link, &["SENTINEL", "MASTER", &question.theirs]).await? {
        reply if is_locked(&reply) => return Ok(AnswerProof::Locked),
        reply if ours(&reply) => return Ok(AnswerProof::Watches),
        Reply::Array(_) => {}
        _ => return Ok(AnswerProof::Refuted("watches no master by the name in the hello".to_owned())),
    }
    // A master that is new here; its replicas are not.
    match ask(link, &["SENTINEL", "SLAVES", &question.theirs]).await? {
        Reply::Array(replicas) if replicas.iter().any(ours) => Ok(AnswerProof::Watches),
        _ => Ok(AnswerProof::Refuted("watches another master".to_owned())),
    }
}

fn field<'a>(fields: &'a Reply, name: &str) -> Option<&'a str> {
    let Reply::Array(fields) = fields else { return None };
    fields.chunks_exact(2).find_map(|pair| match pair {
        [Reply::Bulk(key), Reply::Bulk(value)] if key == name => Some(value.as_str()),
        _ => None,
    })
}
