//! As whom the sentinels are asked.

use std::fs::File;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

use super::command::Login;
use crate::base::Addr;

/// The variable that holds a password.
const PASSWORD: &str = "RAFT_SENTINEL_PASSWORD";
/// Bytes of a password file that are read.
const FILE_BYTES: u64 = 8 * 1024;

/// Says with each call who asks. `Debug` shows no password.
#[derive(Clone, Debug, Default)]
pub(crate) struct Credentials {
    header: Option<MetadataValue<Ascii>>,
}

impl Credentials {
    /// Finds the password that goes with what was typed.
    ///
    /// # Errors
    /// When there is none, or its file cannot be read.
    pub(crate) fn find(login: &Login) -> anyhow::Result<Self> {
        let password = match &login.password_file {
            Some(file) => Some(first_line(file).with_context(|| format!("cannot read the password from {}", file.display()))?),
            None => std::env::var(PASSWORD).ok().filter(|password| !password.is_empty()),
        };
        match (&login.user, password) {
            (None, None) => Ok(Self::default()),
            (Some(user), None) => bail!("--user {user} needs a password: set --password-file FILE, or {PASSWORD}"),
            (user, Some(password)) => Self::basic(user.as_deref().unwrap_or("default"), &password),
        }
    }

    fn basic(user: &str, password: &str) -> anyhow::Result<Self> {
        if user.contains(':') {
            bail!("the user '{user}' has a colon in its name, which cannot be sent (RFC 7617)");
        }
        let mut header = MetadataValue::try_from(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))?;
        header.set_sensitive(true);
        Ok(Self { header: Some(header) })
    }

    /// Warns where a password would cross a network in clear text.
    pub(crate) fn warn(&self, tls: bool, addrs: &[Addr]) {
        let near =
            |addr: &Addr| addr.host() == "localhost" || addr.host().parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback());
        if let (Some(_), false, Some(far)) = (&self.header, tls, addrs.iter().find(|addr| !near(addr))) {
            eprintln!("Warning: the password goes to {far} in clear text; --tls encrypts it (grpc tls yes)");
        }
    }
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(header) = &self.header {
            request.metadata_mut().insert("authorization", header.clone());
        }
        Ok(request)
    }
}

fn first_line(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(FILE_BYTES).read_to_string(&mut text)?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        bail!("its first line is empty");
    }
    Ok(line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(login: &Login) -> anyhow::Result<Option<String>> {
        let mut credentials = Credentials::find(login)?;
        let request = credentials.call(Request::new(()))?;
        Ok(request.metadata().get("authorization").map(|value| value.to_str().expect("it is ASCII").to_owned()))
    }

    #[test]
    fn a_password_comes_from_the_first_line_of_a_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("password");
        let login = |user: Option<&str>| Login { user: user.map(str::to_owned), password_file: Some(file.clone()) };
        std::fs::write(&file, "open sesame\nmore\n").expect("it can be written");
        assert_eq!(header(&login(Some("Aladdin"))).expect("fine"), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==".to_owned()));
        assert_eq!(header(&login(None)).expect("fine"), Some(format!("Basic {}", STANDARD.encode("default:open sesame"))));
        assert!(!format!("{:?}", Credentials::find(&login(None)).expect("fine")).contains("Basic"));
        assert!(header(&login(Some("a:b"))).is_err());
        std::fs::write(&file, "\nsesame").expect("it can be written");
        assert!(header(&login(None)).expect_err("empty").chain().any(|cause| cause.to_string().contains("first line is empty")));
        let alone = Login { user: Some("ops".to_owned()), password_file: None };
        assert!(header(&alone).expect_err("no password").to_string().contains("--password-file"));
    }
}
