//! A Python with a pinned package, made once and kept below `target/`.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Duration;

use super::process::find_program;
use super::program;

/// The interpreter of an environment that holds this package (`name==version`).
pub fn python_with(package: &str) -> PathBuf {
    // Cargo names it to tests only; examples include the kit as well.
    let root = option_env!("CARGO_TARGET_TMPDIR").map_or_else(std::env::temp_dir, PathBuf::from);
    fs::create_dir_all(&root).expect("target is ours");
    let home = root.join(package.replace("==", "-py-"));
    let lock = File::create(home.with_extension("lock")).expect("target is ours");
    // Tests run side by side, in several processes as well.
    lock.lock().expect("a file can be locked");
    let (python, ready) = (home.join("bin/python"), home.join("ready"));
    if !ready.exists() {
        let _ = fs::remove_dir_all(&home);
        let limit = Duration::from_secs(180);
        let system = find_program("python3", "apt-get install -y python3 python3-venv").display().to_string();
        let made = program::run(&system, &["-m", "venv", &home.display().to_string()], limit);
        assert_eq!(made.code, Some(0), "python3 cannot make a virtual environment (apt-get install -y python3-venv): {made:?}");
        let words = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", package];
        let installed = program::run(&python.display().to_string(), &words, limit);
        assert_eq!(installed.code, Some(0), "pip cannot install {package}, which this test needs; is PyPI reachable? {installed:?}");
        fs::write(&ready, "").expect("target is ours");
    }
    python
}
