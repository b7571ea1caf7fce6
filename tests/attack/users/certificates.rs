//! gRPC over TLS: what a certificate is worth, and clients that are not ours.

use std::path::Path;

use rcgen::ExtendedKeyUsagePurpose as Use;

use super::{SOON, USERS, World};
use crate::kit::certs::Authority;
use crate::kit::program::{self, Ended};
use crate::kit::python::python_with;
use crate::kit::sentinel::our_binary;
use crate::kit::{GROUP, Scratch};

const GRPCIO: &str = "grpcio==1.85.3";

/// Asks for the master and watches, in the bytes of protobuf, as a client of another maker does.
const CLIENT: &str = r#"
import sys, grpc

target, group, folder, login = sys.argv[1:5]
read = lambda name: open(f"{folder}/{name}", "rb").read()
credentials = grpc.ssl_channel_credentials(read("ours.crt"), read("app.key"), read("app.crt"))
import base64
metadata = [("authorization", "Basic " + base64.b64encode(login.encode()).decode())] if login else []
field = lambda number, text: bytes([number << 3 | 2, len(text)]) + text.encode()
plain = dict(request_serializer=lambda raw: raw, response_deserializer=lambda raw: raw)
with grpc.secure_channel(target, credentials) as channel:
    try:
        master = channel.unary_unary("/raftsentinel.v1.Sentinel/GetMaster", **plain)(field(1, group), metadata=metadata, timeout=15)
        print("master", group.encode() in master and b"127.0.0.1" in master)
        watch = channel.unary_stream("/raftsentinel.v1.Sentinel/WatchMasters", **plain)(field(1, group), metadata=metadata, timeout=15)
        print("watch", group.encode() in next(watch))
        watch.cancel()
        channel.unary_unary("/raftsentinel.admin.v1.Admin/RemoveGroup", **plain)(field(1, group), metadata=metadata, timeout=15)
        print("removed")
    except grpc.RpcError as error:
        print(error.code().name, error.details())
"#;

/// A sentinel that asks gRPC clients for certificates, and the folder with those of `ours` (trusted) and `theirs`.
fn world(lines: &[&str]) -> (World, Authority, Scratch) {
    let folder = Scratch::new();
    let ca = Authority::new(folder.path(), "ours");
    for name in ["ops", "app", "nobody"] {
        ca.issue(name, &[]);
    }
    ca.issue("ops-by-alternative-name", &["ops"]);
    ca.issue("two-users-by-alternative-name", &["ops", "app"]);
    ca.issue_for("server-only", &[], &[Use::ServerAuth]);
    ca.issue_for("client-only", &[], &[Use::ClientAuth]);
    let files = [("tls-cert-file", "ours-node.crt"), ("tls-key-file", "ours-node.key"), ("tls-ca-cert-file", "ours.crt")];
    let mut all: Vec<String> = files.map(|(directive, file)| format!("{directive} {}", ca.file(file))).to_vec();
    all.push("grpc tls yes".to_owned());
    all.extend(lines.iter().map(|line| line.replace("FOLDER", &folder.path().display().to_string())));
    let world = World::start(&all.iter().map(String::as_str).collect::<Vec<_>>());
    (world, ca, folder)
}

/// `raft-sentinel` with a certificate of that name.
fn asked(world: &World, folder: &Path, cert: &str, words: &[&str], login: Option<(&str, &str)>) -> Ended {
    let file = |name: String| folder.join(name).display().to_string();
    let (ca, crt, key) = (file("ours.crt".to_owned()), file(format!("{cert}.crt")), file(format!("{cert}.key")));
    let tls = ["--tls", "--cacert", &ca, "--cert", &crt, "--key", &key];
    world.operator(&words.iter().copied().chain(tls).collect::<Vec<_>>(), login)
}

const LOOK: [&str; 1] = ["masters"];
const CHANGE: [&str; 4] = ["set", GROUP, "--quorum", "1"];

fn wait(world: &World, folder: &Path, cert: &str, login: Option<(&str, &str)>) {
    world.timeline.wait_for("the sentinel answers", SOON, || {
        let told = asked(world, folder, cert, &LOOK, login);
        if told.stdout.contains(GROUP) { Ok(()) } else { Err(format!("{told:?}")) }
    });
}

#[test]
fn a_certificate_alone_reads_and_watches() {
    let (world, _ca, folder) = world(&[]);
    wait(&world, folder.path(), "app", None);
    let refused = asked(&world, folder.path(), "app", &CHANGE, None);
    assert!(
        refused.stderr.contains("a certificate alone may read and watch") && refused.stderr.contains("grpc tls-auth-user cn"),
        "{refused:?}"
    );
    let members = asked(&world, folder.path(), "app", &["members", "add", "9", "127.0.0.1:1"], None);
    assert!(members.stderr.contains("a certificate alone may read and watch"), "{members:?}");
    // Made for servers: no client.
    let server = asked(&world, folder.path(), "server-only", &LOOK, None);
    assert!(server.stdout.is_empty() && server.code != Some(0), "{server:?}");
    asked(&world, folder.path(), "client-only", &LOOK, None).success();
    drop(world);

    let (world, _ca, folder) = self::world(&["grpc admin-with-any-certificate yes"]);
    wait(&world, folder.path(), "app", None);
    asked(&world, folder.path(), "app", &CHANGE, None).success();
}

#[test]
fn with_users_a_certificate_is_no_password() {
    let (world, _ca, folder) = world(&USERS);
    wait(&world, folder.path(), "nobody", Some(("app", "app-password")));
    let refused = asked(&world, folder.path(), "ops", &LOOK, None);
    assert!(refused.stderr.contains("asks for a user and a password"), "{refused:?}");
    let denied = asked(&world, folder.path(), "ops", &CHANGE, Some(("app", "app-password")));
    assert!(denied.stderr.contains("user 'app' may not administer"), "{denied:?}");
    asked(&world, folder.path(), "nobody", &CHANGE, Some(("ops", "ops-password"))).success();
}

#[test]
fn a_certificate_names_a_user_where_the_file_says_so() {
    let (world, _ca, folder) = world(&[&USERS[..], &["grpc tls-auth-user cn"]].concat());
    wait(&world, folder.path(), "app", None);
    asked(&world, folder.path(), "ops", &CHANGE, None).success();
    let denied = asked(&world, folder.path(), "app", &CHANGE, None);
    assert!(denied.stderr.contains("user 'app' may not administer"), "{denied:?}");
    let unknown = asked(&world, folder.path(), "nobody", &LOOK, None);
    assert!(unknown.stderr.contains("no user of this sentinel is named as your certificate is ('nobody"), "{unknown:?}");
    // Who says a password is who it says, or nobody.
    asked(&world, folder.path(), "app", &CHANGE, Some(("ops", "ops-password"))).success();
    let wrong = asked(&world, folder.path(), "ops", &LOOK, Some(("ops", "guess")));
    assert!(wrong.stderr.contains("the password is wrong"), "{wrong:?}");
    // A user who is switched off is none.
    let mut conn = world.sentinel.conn().expect("it answers");
    assert!(conn.ask(&["AUTH", "ops", "ops-password"]).expect("it answers").is_ok());
    assert!(conn.ask(&["ACL", "SETUSER", "app", "off"]).expect("it answers").is_ok());
    assert_ne!(asked(&world, folder.path(), "app", &LOOK, None).code, Some(0));
    drop(world);

    let (world, _ca, folder) = self::world(&[&USERS[..], &["grpc tls-auth-user san"]].concat());
    wait(&world, folder.path(), "ops-by-alternative-name", None);
    asked(&world, folder.path(), "ops-by-alternative-name", &CHANGE, None).success();
    for other in ["ops", "two-users-by-alternative-name"] {
        let refused = asked(&world, folder.path(), other, &LOOK, None);
        assert!(refused.stderr.contains("no user of this sentinel is named"), "{other}: {refused:?}");
    }
}

#[test]
fn grpc_clients_may_have_an_authority_of_their_own() {
    let clients = Scratch::new();
    let theirs = Authority::new(clients.path(), "clients");
    theirs.issue("app", &[]);
    let line = format!("grpc tls-ca-cert-file {}", theirs.file("clients.crt"));
    let (world, _ca, folder) = world(&[&line]);
    let with = |dir: &Path| {
        let file = |name: &str| dir.join(name).display().to_string();
        let (crt, key) = (file("app.crt"), file("app.key"));
        let ca = folder.path().join("ours.crt").display().to_string();
        world.operator(&["masters", "--tls", "--cacert", &ca, "--cert", &crt, "--key", &key], None)
    };
    world.timeline.wait_for("a client of that authority is let in", SOON, || {
        let told = with(clients.path());
        if told.stdout.contains(GROUP) { Ok(()) } else { Err(format!("{told:?}")) }
    });
    let refused = with(folder.path());
    assert!(refused.stdout.is_empty() && refused.code != Some(0), "one of the sentinels' authority: {refused:?}");
}

#[test]
fn a_foreign_client_speaks_to_us_over_tls() {
    let python = python_with(GRPCIO);
    let (world, _ca, folder) = world(&USERS);
    wait(&world, folder.path(), "app", Some(("ops", "ops-password")));
    let (script, dir) = (folder.path().join("client.py"), folder.path().display().to_string());
    std::fs::write(&script, CLIENT).expect("the folder can be written");
    let ask = |login: &str| {
        let target = world.sentinel.ports.grpc_addr().to_string();
        let args = [&script.display().to_string(), &target, GROUP, &dir, login];
        program::run(&python.display().to_string(), &args, SOON * 2).success()
    };
    let told = ask("app:app-password");
    assert!(told.starts_with("master True\nwatch True\nPERMISSION_DENIED user 'app' may not administer (RemoveGroup)"), "{told}");
    assert!(ask("").starts_with("UNAUTHENTICATED this sentinel asks for a user and a password"));
    assert!(ask("app:guess").starts_with("UNAUTHENTICATED the password is wrong"));
    // And so does what is ours.
    let file = |name: &str| folder.path().join(name).display().to_string();
    let password = super::write(folder.path(), "password", "app-password\n");
    let addr = world.sentinel.ports.grpc_addr().to_string();
    let (ca, crt, key) = (file("ours.crt"), file("app.crt"), file("app.key"));
    let words = ["replicas", GROUP, "--addr", &addr, "--tls", "--cacert", &ca, "--cert", &crt, "--key", &key, "--user", "app"];
    program::run(
        &our_binary().display().to_string(),
        &words.iter().copied().chain(["--password-file", &password]).collect::<Vec<_>>(),
        SOON,
    )
    .success();
}
