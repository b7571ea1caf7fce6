//! Command lines and files, as redis-server takes them.

use super::*;

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn served(line: &str) -> Settings {
    match read(&words(line)) {
        Ok(Wanted::Serve(settings)) => *settings,
        other => panic!("{line}: {other:?}"),
    }
}

fn refused(line: &str) -> String {
    read(&words(line)).unwrap_err().to_string()
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.replace("HERE", &dir.path().display().to_string())).unwrap();
    }
    dir
}

#[test]
fn without_a_file_all_is_as_redis_has_it() {
    let settings = served("");
    assert_eq!((settings.port, settings.dir.as_path(), settings.append_only), (6379, Path::new("."), false));
    assert_eq!((settings.snapshot.as_str(), settings.append_dir.as_str()), ("dump.rdb", "appendonlydir"));
    assert_eq!((settings.ports(), settings.only_on()), (vec![6379], None));
}

#[test]
fn the_command_line_wins_over_the_file() {
    let text = "# port 1\nPORT 7000\nbind 10.0.0.1 -::1\ndir \"HERE/my data\"\nappendonly yes\nreplicaof 10.0.0.9 6379\nreplica-announce-ip redis-0\n";
    let dir = folder(&[("redis.conf", text)]);
    let file = dir.path().join("redis.conf");
    let settings = served(&file.display().to_string());
    assert_eq!(settings.ports(), [7000]);
    assert_eq!(settings.only_on().unwrap(), ["10.0.0.1", "::1"]);
    assert_eq!(settings.dir, dir.path().join("my data"));
    assert_eq!(settings.announce_host.as_deref(), Some("redis-0"));
    assert!(settings.follows && settings.append_only);

    let line = "--port 7001 --tls-port 7002 --replicaof no one --appendonly no --bind * --dbfilename other.rdb --slave-announce-port 9";
    let settings = served(&format!("{} {line}", file.display()));
    assert_eq!(settings.ports(), [9, 7001, 7002]);
    assert_eq!((settings.only_on(), settings.snapshot.as_str()), (None, "other.rdb"));
    assert!(!settings.follows && !settings.append_only);
}

#[test]
fn words_of_the_command_line_are_parted_as_redis_parts_them() {
    let read = |args: &[&str]| read(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>()).unwrap();
    let serves = |args: &[&str]| match read(args) {
        Wanted::Serve(settings) => *settings,
        Wanted::Say => panic!("{args:?}"),
    };
    assert_eq!(serves(&["--port 7000"]).port, 7000, "a name and its value in one word");
    assert_eq!(serves(&["--save", "--port", "7000"]).port, 7000, "--save without a value");
    assert_eq!(serves(&["--dbfilename", "--port", "--port", "7000"]).snapshot, "--port", "a value that looks like an option");
    for ask in ["--version", "-v", "--help", "-h", "--check-system"] {
        assert_eq!(read(&[ask]), Wanted::Say);
    }
}

#[test]
fn files_are_included_where_they_are_named() {
    let dir = folder(&[
        ("redis.conf", "port 1\ndir HERE/data\ninclude ../conf.d/*.conf\ninclude last.conf\nappendonly no\n"),
        ("conf.d/b.conf", "port 3\ndbfilename b.rdb\n"),
        ("conf.d/a.conf", "port 2\ndbfilename a.rdb\nappendonly yes\n"),
        ("data/last.conf", "tls-port 4\n"),
    ]);
    let settings = served(&dir.path().join("redis.conf").display().to_string());
    assert_eq!((settings.ports(), settings.snapshot.as_str(), settings.append_only), (vec![3, 4], "b.rdb", false));
}

#[test]
fn what_cannot_be_understood_is_refused_with_its_place() {
    let dir = folder(&[
        ("bad.conf", "port 1\nport many\n"),
        ("quotes.conf", "\n\nrequirepass \"sesame\n"),
        ("outer.conf", "include HERE/bad.conf\n"),
        ("itself.conf", "include HERE/itself.conf\n"),
        ("sentinel.conf", "sentinel monitor a 127.0.0.1 6379 2\n"),
    ]);
    let told = |name: &str| refused(&dir.path().join(name).display().to_string());
    assert!(told("bad.conf").contains("bad.conf, line 2: port must be a number from 0 to 65535, not 'many'"), "{}", told("bad.conf"));
    assert!(told("outer.conf").contains("bad.conf, line 2"), "{}", told("outer.conf"));
    assert!(
        told("quotes.conf").contains("line 3: unbalanced quotes") && !told("quotes.conf").contains("sesame"),
        "{}",
        told("quotes.conf")
    );
    assert!(told("none.conf").contains("none.conf: cannot read the configuration"), "{}", told("none.conf"));
    assert!(told("itself.conf").contains("deep"), "{}", told("itself.conf"));
    assert!(told("sentinel.conf").contains("of a sentinel"), "{}", told("sentinel.conf"));
    assert!(refused("-").contains("standard input"));
    assert!(refused("--port 1 -").contains("standard input"));
    assert!(refused("--cluster-enabled yes").contains("cluster"));
    assert!(refused("--appendonly perhaps").contains("the command line of redis-server: appendonly must be yes or no"));
}
