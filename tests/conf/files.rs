//! Files on disk: included, missing, odd.

use std::fs;
use std::path::Path;

use raft_sentinel::base::Addr;
use raft_sentinel::conf;

use crate::{RAFT, message};

fn write(dir: &Path, name: &str, text: impl AsRef<[u8]>) -> std::path::PathBuf {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn an_included_file_is_read_in_its_place_and_found_beside_its_includer() {
    let dir = tempfile::tempdir().unwrap();
    let main = write(dir.path(), "main.conf", format!("port 1\ninclude sub/a.conf\n{RAFT}"));
    write(dir.path(), "sub/a.conf", "port 2\ninclude b.conf\n");
    write(dir.path(), "sub/b.conf", "sentinel monitor m 127.0.0.1 6379 1\n");
    let config = conf::load(&main, &[]).unwrap();
    assert_eq!((config.resp.port, config.groups[0].master.clone()), (2, Addr::new("127.0.0.1", 6379).expect("an address")));
    let names: Vec<_> = config.sources.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["main.conf", "a.conf", "b.conf"]);

    write(dir.path(), "sub/b.conf", "\nnonsense\n");
    let said = message(conf::load(&main, &[]));
    assert!(said.contains("sub/b.conf:2: Bad directive"), "{said}");
}

#[test]
fn a_file_may_be_included_twice_but_not_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let main = write(dir.path(), "main.conf", format!("include a.conf\ninclude a.conf\n{RAFT}"));
    write(dir.path(), "a.conf", "port 5000\n");
    assert_eq!(conf::load(&main, &[]).map(|config| config.resp.port), Ok(5000));

    write(dir.path(), "a.conf", "include ./main.conf\n");
    let said = message(conf::load(&main, &[]));
    assert!(said.contains("a.conf:1: ") && said.contains("is included by itself"), "{said}");
}

#[test]
fn includes_that_multiply_come_to_an_end() {
    let dir = tempfile::tempdir().unwrap();
    for depth in 0..7 {
        write(dir.path(), &format!("{depth}.conf"), format!("include {0}.conf\n", depth + 1).repeat(1000));
    }
    write(dir.path(), "7.conf", "");
    assert!(message(conf::load(&dir.path().join("0.conf"), &[])).contains("too many files"));
}

#[test]
fn what_cannot_be_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let said = message(conf::load(&dir.path().join("absent.conf"), &[]));
    assert!(said.contains("Fatal error, can't open config file") && said.contains("No such file"), "{said}");
    assert!(message(conf::load(dir.path(), &[])).contains("Is a directory"));
    let main = write(dir.path(), "main.conf", "port 1\ninclude absent.conf\n");
    assert!(message(conf::load(&main, &[])).contains("main.conf:2: Fatal error, can't open config file"));
    let main = write(dir.path(), "main.conf", "include *.conf\n");
    assert!(message(conf::load(&main, &[])).contains("without wildcards"));
    let main = write(dir.path(), "main.conf", b"port 1\n\xff\xfe\n");
    assert!(message(conf::load(&main, &[])).ends_with("main.conf:2: the line is not UTF-8 text"));
    assert!(message(conf::load(Path::new("/dev/zero"), &[])).contains("is larger than"));
}

#[test]
fn scripts_are_found_below_dir() {
    use std::os::unix::fs::PermissionsExt as _;

    let dir = tempfile::tempdir().unwrap();
    let script = write(dir.path(), "notify.sh", "#!/bin/sh\n");
    let text = format!("sentinel notification-script m notify.sh\nsentinel monitor m 127.0.0.1 1 1\ndir {}\n{RAFT}", dir.path().display());
    let main = write(dir.path(), "main.conf", text);
    assert!(
        message(conf::load(&main, &[]))
            .contains("main.conf:1: sentinel notification-script: Notification script seems non existing or non executable.")
    );
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let config = conf::load(&main, &[]).unwrap();
    assert_eq!(config.groups[0].settings.notification_script.as_deref(), Some("notify.sh"));
    assert!(!config.notes.iter().any(|note| note.text.contains("script")), "{:?}", config.notes);
}
