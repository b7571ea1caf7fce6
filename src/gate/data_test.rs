//! Files as Redis leaves them, and as accidents do.

use super::*;

const ID: &str = "7e1b3fa122db3df935765ababfb44d4ac733bc00";

struct Disk {
    dir: tempfile::TempDir,
    settings: Settings,
}

impl Disk {
    fn new(append_only: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings { dir: dir.path().to_owned(), append_only, ..Settings::default() };
        Self { dir, settings }
    }

    fn with(self, name: &str, bytes: &[u8]) -> Self {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    fn found(&self) -> DataFound {
        look(&self.settings).unwrap()
    }

    fn has_nothing(&self, why: &str) {
        let DataFound::Nothing { why: told } = self.found() else { panic!("{:?}", self.found()) };
        assert!(told.contains(why), "no '{why}' in: {told}");
    }
}

fn snapshot(history: bool, keys: bool) -> Vec<u8> {
    let mut bytes = b"REDIS0010\xfa\x05ctime\xc2\x17\x3f\x02\x6b".to_vec();
    if history {
        bytes.extend_from_slice(b"\xfa\x07repl-id\x28");
        bytes.extend_from_slice(ID.as_bytes());
        bytes.extend_from_slice(b"\xfa\x0brepl-offset\xc0\x64");
    }
    if keys {
        bytes.extend_from_slice(b"\xfe\x00\xfb\x01\x00\x00\x01k\x01v");
    }
    bytes.extend_from_slice(b"\xff12345678");
    bytes
}

const MANIFEST: &str = "appendonlydir/appendonly.aof.manifest";
const PARTS: &[u8] = b"file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.0.incr.aof seq 9 type h\nfile appendonly.aof.1.incr.aof seq 1 type i\n";

#[test]
fn a_snapshot_tells_its_history() {
    let disk = Disk::new(false).with("dump.rdb", &snapshot(true, true));
    let file = disk.dir.path().join("dump.rdb");
    assert_eq!(disk.found(), DataFound::Snapshot { file: file.clone(), history: Some((ReplId::new(ID).expect("an id"), 100)) });
    let alone = Disk { dir: disk.dir, settings: disk.settings }.with("dump.rdb", &snapshot(false, true));
    assert_eq!(alone.found(), DataFound::Snapshot { file, history: None });
}

#[test]
fn an_empty_dataset_with_a_history_is_still_that_dataset() {
    let disk = Disk::new(false).with("dump.rdb", &snapshot(true, false));
    assert!(matches!(disk.found(), DataFound::Snapshot { history: Some(_), .. }));
    Disk::new(false).with("dump.rdb", &snapshot(false, false)).has_nothing("has no keys");
}

#[test]
fn what_is_no_whole_snapshot_is_nothing() {
    Disk::new(false).has_nothing("dump.rdb does not exist");
    Disk::new(false).with("dump.rdb", b"").has_nothing("is empty");
    Disk::new(false).with("dump.rdb", b"hello, world").has_nothing("is not a snapshot");
    let whole = snapshot(true, true);
    Disk::new(false).with("dump.rdb", &whole[..whole.len() - 12]).has_nothing("is cut short");
}

#[test]
fn with_appendonly_yes_a_snapshot_beside_it_does_not_count() {
    let disk = Disk::new(true).with("dump.rdb", &snapshot(true, true));
    disk.has_nothing("appendonly is yes");
    let disk = disk.with(MANIFEST, PARTS);
    disk.has_nothing("which does not exist");
    let disk = disk.with("appendonlydir/appendonly.aof.1.base.rdb", &snapshot(false, false));
    let disk = disk.with("appendonlydir/appendonly.aof.1.incr.aof", b"");
    disk.has_nothing("have no keys");
    let disk = disk.with("appendonlydir/appendonly.aof.1.incr.aof", b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n");
    assert_eq!(disk.found(), DataFound::AppendOnly { file: disk.dir.path().join(MANIFEST), synced: false });
}

#[test]
fn a_base_with_keys_is_data_too() {
    let disk = Disk::new(true).with(MANIFEST, PARTS).with("appendonlydir/appendonly.aof.1.base.rdb", &snapshot(false, true));
    assert!(matches!(disk.found(), DataFound::AppendOnly { .. }));
}

#[test]
fn the_single_file_of_older_servers_counts() {
    let disk = Disk::new(true).with("appendonly.aof", b"");
    disk.has_nothing("appendonly is yes");
    let preamble = snapshot(false, false);
    let disk = disk.with("appendonly.aof", &preamble);
    disk.has_nothing("appendonly is yes");
    let disk = disk.with("appendonly.aof", &[preamble.as_slice(), b"*1\r\n"].concat());
    assert_eq!(disk.found(), DataFound::AppendOnly { file: disk.dir.path().join("appendonly.aof"), synced: false });
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_and_not_an_absence() {
    let disk = Disk::new(false);
    fs::create_dir(disk.dir.path().join("dump.rdb")).unwrap();
    let error = look(&disk.settings).unwrap_err().to_string();
    assert!(error.contains("cannot read") && error.contains("dump.rdb"), "{error}");
}
