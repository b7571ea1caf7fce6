//! Users: who comes in, and what they may do. The words were compared with a redis-sentinel.

use raft_sentinel::base::Secret;
use raft_sentinel::conf::AclSettings;
use raft_sentinel::serve::users::Acl;

use super::wire::Wire;
use super::world::{Options, World, world_with};

const WRONG: &str = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";

/// A server with an open default user and the users that these requests make.
async fn world_of(users: &[&str]) -> World {
    let world = world_with(Options::default()).await;
    let mut admin = Wire::open(world.addr).await;
    for user in users {
        assert_eq!(admin.ask(&format!("ACL SETUSER {user}")).await, "+OK\r\n", "{user}");
    }
    world
}

async fn check(world: &World, user: &str, exchanges: &[(&str, &str)]) {
    let mut wire = Wire::open(world.addr).await;
    assert_eq!(wire.ask(&format!("AUTH {user}")).await, "+OK\r\n");
    for (request, reply) in exchanges {
        wire.send(format!("{request}\r\n")).await;
        wire.expect(reply).await;
    }
}

#[tokio::test]
async fn a_user_may_do_what_its_rules_say_and_no_more() {
    let world = world_of(&[
        "app on >pw -@all +ping +subscribe +sentinel|get-master-addr-by-name &+switch-master",
        "ops on >a >b +@all -shutdown &*",
    ])
    .await;
    check(
        &world,
        "app pw",
        &[
            ("SENTINEL get-master-addr-by-name mymaster", "*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6379\r\n"),
            ("SENTINEL MASTERS", "-NOPERM User app has no permissions to run the 'sentinel|masters' command\r\n"),
            // An alias is no way around.
            ("SENTINEL slaves mymaster", "-NOPERM User app has no permissions to run the 'sentinel|replicas' command\r\n"),
            ("ACL WHOAMI", "-NOPERM User app has no permissions to run the 'acl|whoami' command\r\n"),
            // What exists, and with how many words, is told before.
            ("NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with: \r\n"),
            ("SENTINEL MASTER", "-ERR wrong number of arguments for 'sentinel|master' command\r\n"),
            ("SUBSCRIBE +switch-master +sdown", "-NOPERM No permissions to access a channel\r\n"),
            ("PSUBSCRIBE *", "-NOPERM User app has no permissions to run the 'psubscribe' command\r\n"),
            ("SUBSCRIBE +switch-master", "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n"),
        ],
    )
    .await;
    for password in ["ops a", "ops b"] {
        check(
            &world,
            password,
            &[("SHUTDOWN", "-NOPERM User ops has no permissions to run the 'shutdown' command\r\n"), ("PING", "+PONG\r\n")],
        )
        .await;
    }
    let mut log = Wire::open(world.addr).await;
    let text = log.ask("ACL LOG 1").await;
    assert!(text.contains("$8\r\nshutdown\r\n") && text.contains("$5\r\ncount\r\n:2\r\n"), "{text}");
}

#[tokio::test]
async fn who_may_come_in() {
    let world = world_of(&["on on >pw +@all", "off >pw +@all", "open on nopass +@all", "default >secret"]).await;
    for (request, reply) in [
        ("AUTH on pw", "+OK\r\n"),
        ("AUTH on PW", WRONG),
        ("AUTH on ''", WRONG),
        ("AUTH off pw", WRONG),
        ("AUTH open anything", "+OK\r\n"),
        ("AUTH nobody pw", WRONG),
        ("AUTH secret", "+OK\r\n"),
        ("AUTH default secret", "+OK\r\n"),
        ("AUTH a b c", "-ERR syntax error\r\n"),
    ] {
        let mut wire = Wire::open(world.addr).await;
        wire.send("PING\r\n").await;
        wire.expect("-NOAUTH Authentication required.\r\n").await;
        wire.send(format!("{request}\r\n")).await;
        wire.expect(reply).await;
    }
    let mut wire = Wire::open(world.addr).await;
    wire.send("HELLO 3 AUTH on pw\r\n").await;
    wire.expect("%6\r\n").await;
    assert!(wire.ask("CLIENT INFO").await.contains(" user=on "));
}

#[tokio::test]
async fn a_user_that_goes_takes_its_connections_along() {
    let world = world_of(&["gone on nopass +@all &*", "less on nopass +@all &*"]).await;
    let (mut gone, mut less) = (Wire::open(world.addr).await, Wire::open(world.addr).await);
    gone.ask("AUTH gone x").await;
    less.ask("AUTH less x").await;
    less.ask("SUBSCRIBE +sdown").await;
    let mut admin = Wire::open(world.addr).await;
    assert_eq!(admin.ask("ACL DELUSER gone").await, ":1\r\n");
    assert_eq!(admin.ask("ACL SETUSER less resetchannels &+odown").await, "+OK\r\n");
    assert_eq!((gone.until_closed().await, less.until_closed().await), (String::new(), String::new()));
}

#[tokio::test]
async fn the_file_is_read_and_written_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("users.acl");
    std::fs::write(&file, "# ours\nuser default on nopass ~* &* +@all\nuser app on >pw +ping\n").unwrap();
    let users = AclSettings { file: Some(file.clone()), ..AclSettings::default() };
    let world = world_with(Options { users, ..Options::default() }).await;
    check(&world, "app pw", &[("PING", "+PONG\r\n"), ("ROLE", "-NOPERM User app has no permissions to run the 'role' command\r\n")]).await;
    let mut admin = Wire::open(world.addr).await;
    assert_eq!(admin.ask("ACL SETUSER app +role").await, "+OK\r\n");
    assert_eq!(admin.ask("ACL SAVE").await, "+OK\r\n");
    let hash = "30c952fab122c3f9759f02a6d95c3758b246b4fee239957b2d4fee46e26170c4";
    let expected = format!("user app on #{hash} resetchannels -@all +ping +role\nuser default on nopass ~* &* +@all\n");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), expected);
    std::fs::write(&file, "user app on\nuser app +nope\n").unwrap();
    let refused = admin.ask("ACL LOAD").await;
    assert!(refused.starts_with("-ERR ") && refused.contains(":2: user 'app': rule '+nope': Unknown command or category"), "{refused}");
    assert!(admin.ask("ACL GETUSER app").await.contains("-@all +ping +role"), "as it was");
    std::fs::write(&file, "user default on nopass ~* &* +@all\n").unwrap();
    assert_eq!(admin.ask("ACL LOAD").await, "+OK\r\n");
    assert_eq!(admin.ask("ACL USERS").await, "*1\r\n$7\r\ndefault\r\n");
}

#[test]
fn requirepass_holds_unless_the_users_say_otherwise() {
    let password = Secret::new("hunter2");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("users.acl");
    // The file says nothing of user default: stock would leave the door open.
    std::fs::write(&file, "user app on >x +@all\n").unwrap();
    let acl = Acl::new(&AclSettings { file: Some(file.clone()), ..AclSettings::default() }, Some(&password)).unwrap();
    assert!(!format!("{acl:?}").contains("hunter2"));
    // A wrong line names itself, without the password.
    std::fs::write(&file, "user app <hunter2\n").unwrap();
    let error = Acl::new(&AclSettings { file: Some(file), ..AclSettings::default() }, None).unwrap_err().to_string();
    assert!(error.contains("users.acl:1: user 'app': The password you are trying to remove") && !error.contains("hunter2"), "{error}");
}
