//! `tls-...`, in Redis's spelling. What our library cannot do is refused with the reason rather than ignored.

use std::path::PathBuf;

use super::{Args, Directive, Stage, Treatment};
use crate::base::{ClientCertificates, TLS_SUITES, TlsVersion};
use crate::conf::draft::Draft;
use crate::conf::value::{Problem, optional, shown, whole, yes_no};

pub(super) static ROWS: &[Directive] = &[
    row("tls-port", |draft, args| set(&mut draft.resp.tls_port, whole(&args[0], &(0..=65535)))),
    row("tls-replication", |draft, args| set(&mut draft.tls.replication, yes_no(&args[0]))),
    row("tls-cert-file", |draft, args| set(&mut draft.tls.cert, path(&args[0]))),
    row("tls-key-file", |draft, args| set(&mut draft.tls.key, path(&args[0]))),
    row("tls-client-cert-file", |draft, args| set(&mut draft.tls.client_cert, path(&args[0]))),
    row("tls-client-key-file", |draft, args| set(&mut draft.tls.client_key, path(&args[0]))),
    row("tls-key-file-pass", no_pass),
    row("tls-client-key-file-pass", no_pass),
    row("tls-ca-cert-file", |draft, args| set(&mut draft.tls.settings.ca_file, path(&args[0]))),
    row("tls-ca-cert-dir", |draft, args| set(&mut draft.tls.settings.ca_dir, path(&args[0]))),
    row("tls-auth-clients", auth_clients),
    many("tls-protocols", protocols),
    row("tls-ciphers", |draft, args| {
        draft.tls.ciphers = suites(&args[0], TlsVersion::V12)?;
        Ok(())
    }),
    row("tls-ciphersuites", |draft, args| {
        draft.tls.ciphersuites = suites(&args[0], TlsVersion::V13)?;
        Ok(())
    }),
    row("tls-prefer-server-ciphers", |draft, args| set(&mut draft.tls.settings.prefer_own_suites, yes_no(&args[0]))),
    row("tls-session-caching", |draft, args| set(&mut draft.tls.session_caching, yes_no(&args[0]))),
    row("tls-session-cache-size", |draft, args| set(&mut draft.tls.settings.sessions, whole(&args[0], &(0..=1_000_000)))),
    Directive {
        stage: Stage::AllGroups,
        ..row("sentinel tls-verify-hostname", |draft, args| set(&mut draft.tls.settings.verify_hostname, yes_no(&args[0])))
    },
];

const fn row(name: &'static str, handler: fn(&mut Draft, &[String]) -> Result<(), Problem>) -> Directive {
    Directive { name, args: Args::exactly(1), stage: Stage::Process, treatment: Treatment::Use(handler) }
}

const fn many(name: &'static str, handler: fn(&mut Draft, &[String]) -> Result<(), Problem>) -> Directive {
    Directive { args: Args::at_least(1), ..row(name, handler) }
}

fn set<T>(place: &mut T, value: Result<T, Problem>) -> Result<(), Problem> {
    *place = value?;
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "one of the readers of values")]
fn path(word: &str) -> Result<Option<PathBuf>, Problem> {
    Ok(optional(word).map(PathBuf::from))
}

fn no_pass(_: &mut Draft, args: &[String]) -> Result<(), Problem> {
    match args[0].as_str() {
        "" => Ok(()),
        _ => Err("encrypted key files are not supported: keep a decrypted copy (openssl pkey -in KEY -out FILE) that only this \
                  service may read, and remove this line"
            .to_owned()),
    }
}

fn auth_clients(draft: &mut Draft, args: &[String]) -> Result<(), Problem> {
    draft.tls.settings.clients = match args[0].to_ascii_lowercase().as_str() {
        "yes" => ClientCertificates::Required,
        "optional" => ClientCertificates::Optional,
        "no" => ClientCertificates::Unasked,
        _ => return Err(format!("{} is neither yes nor no nor optional", shown(&args[0]))),
    };
    Ok(())
}

/// `"TLSv1.2 TLSv1.3"`, as one argument or several.
fn protocols(draft: &mut Draft, args: &[String]) -> Result<(), Problem> {
    let mut versions = Vec::new();
    for word in args.iter().flat_map(|arg| arg.split_ascii_whitespace()) {
        let version = match word.to_ascii_lowercase().as_str() {
            "tlsv1.2" => TlsVersion::V12,
            "tlsv1.3" => TlsVersion::V13,
            "tlsv1" | "tlsv1.1" => return Err(format!("{} is broken and not spoken here; expected TLSv1.2, TLSv1.3 or both", shown(word))),
            _ => return Err(format!("{} is not a version of TLS; expected TLSv1.2, TLSv1.3 or both", shown(word))),
        };
        if !versions.contains(&version) {
            versions.push(version);
        }
    }
    if !versions.is_empty() {
        draft.tls.settings.versions = versions;
    }
    Ok(())
}

/// What OpenSSL's lists begin with, and what they take out of it and is not here anyway.
const EVERYTHING: [&str; 4] = ["DEFAULT", "HIGH", "ALL", "SECURE"];
const NOT_HERE: [&str; 16] =
    ["MEDIUM", "LOW", "EXPORT", "EXP", "ANULL", "ENULL", "NULL", "MD5", "RC4", "DES", "3DES", "PSK", "SRP", "DSS", "ADH", "SHA1"];

/// A list in OpenSSL's way of writing: names joined by colons. None is all of that version.
fn suites(list: &str, version: TlsVersion) -> Result<Option<Vec<&'static str>>, Problem> {
    let mut named = Vec::new();
    let mut everything = false;
    for word in list.split([':', ',', ' ']).filter(|word| !word.is_empty()) {
        let upper = word.to_ascii_uppercase();
        let known = TLS_SUITES.iter().find(|(openssl, _, of)| *openssl == upper && *of == version);
        match (known, upper.strip_prefix('!')) {
            (Some((_, name, _)), _) => named.push(*name),
            (None, Some(out)) if NOT_HERE.contains(&out) => {}
            (None, None) if EVERYTHING.contains(&upper.as_str()) => everything = true,
            _ => return Err(unknown_suite(word, version)),
        }
    }
    Ok((!everything && !named.is_empty()).then_some(named))
}

fn unknown_suite(word: &str, version: TlsVersion) -> Problem {
    let names: Vec<&str> = TLS_SUITES.iter().filter(|(_, _, of)| *of == version).map(|(name, _, _)| *name).collect();
    format!("{} is not a cipher suite that is supported here; expected some of {} joined by colons", shown(word), names.join(", "))
}
