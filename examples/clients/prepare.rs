//! Makes a driver ready to run: its packages, or the reason why it cannot run here.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::kit::process::Recipe;
use crate::kit::program;
use crate::library::{Library, Runtime, drivers};

const INSTALLS_WITHIN: Duration = Duration::from_secs(300);
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// Packages that were fetched are kept here.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients")
}

/// Fetches what the driver needs, once for each version of the list; the error says what is missing.
pub(crate) fn ready(library: &Library) -> Result<(), String> {
    match library.runtime {
        Runtime::Python => environment(),
        Runtime::Node => folder(),
        Runtime::Installed { program, probe, packages } => {
            let missing = || format!("not on this machine (apt-get install -y --no-install-recommends {packages})");
            let program = find(program).ok_or_else(missing)?;
            if program::run(&program, probe, ANSWERS_WITHIN).code == Some(0) { Ok(()) } else { Err(missing()) }
        }
    }
}

/// How the driver is started for a deployment; it is told where its packages are.
pub(crate) fn recipe(library: &Library, args: Vec<String>, servers: &str, log: PathBuf) -> Recipe {
    let script = drivers().join(library.driver);
    let (program, script) = match library.runtime {
        Runtime::Python => (root().join("python/bin/python"), script),
        // Modules are looked for beside the file that asks for them.
        Runtime::Node => (PathBuf::from("node"), root().join(library.driver)),
        Runtime::Installed { program, .. } => (PathBuf::from(program), script),
    };
    let args = [script.display().to_string()].into_iter().chain(args).collect();
    let given = library.env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let env = given.chain([("SERVERS".to_owned(), servers.to_owned()), ("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned())]).collect();
    Recipe { program, args, env, log }
}

fn environment() -> Result<(), String> {
    let (home, list) = (root().join("python"), drivers().join("python/requirements.txt"));
    let missing = |what: &str| format!("not on this machine: {what}");
    once(&home, &list, || {
        let system = find("python3").ok_or_else(|| missing("python3 (apt-get install -y python3 python3-venv)"))?;
        // An error means that nothing was there.
        let _ = fs::remove_dir_all(&home);
        done("python3 -m venv", &system, &["-m", "venv", &text(&home)])?;
        let words = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", "-r", &text(&list)];
        done("pip install (is PyPI reachable?)", &text(&home.join("bin/python")), &words)
    })
}

fn folder() -> Result<(), String> {
    let (home, sources) = (root().join("javascript"), drivers().join("javascript"));
    find("node").ok_or_else(|| "not on this machine: node (apt-get install -y nodejs npm)".to_owned())?;
    fs::create_dir_all(&home).map_err(|e| format!("create {}: {e}", home.display()))?;
    for file in fs::read_dir(&sources).map_err(|e| format!("read {}: {e}", sources.display()))?.flatten() {
        fs::copy(file.path(), home.join(file.file_name())).map_err(|e| format!("copy {}: {e}", file.path().display()))?;
    }
    once(&home, &sources.join("package-lock.json"), || {
        let npm = find("npm").ok_or_else(|| "not on this machine: npm (apt-get install -y nodejs npm)".to_owned())?;
        done("npm ci (is the registry reachable?)", &npm, &["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", &text(&home)])
    })
}

/// Does it unless it was done for this very list.
fn once(home: &Path, list: &Path, work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let wanted = fs::read_to_string(list).map_err(|e| format!("read {}: {e}", list.display()))?;
    let mark = home.join("ready");
    if fs::read_to_string(&mark).is_ok_and(|done| done == wanted) {
        return Ok(());
    }
    fs::create_dir_all(root()).map_err(|e| format!("create {}: {e}", root().display()))?;
    work()?;
    fs::write(&mark, wanted).map_err(|e| format!("write {}: {e}", mark.display()))
}

fn done(what: &str, program: &str, words: &[&str]) -> Result<(), String> {
    let ended = program::run(program, words, INSTALLS_WITHIN);
    let last = ended.stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no word").to_owned();
    if ended.code == Some(0) { Ok(()) } else { Err(format!("not on this machine: {what} failed: {last}")) }
}

fn find(program: &str) -> Option<String> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file()).map(|file| text(&file))
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
