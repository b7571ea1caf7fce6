//! `raft secret-file`: reading it, and reading it again when it changes.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::keys::Keys;
use crate::renewal::{Renewable, Renewed};

/// Bytes in the file.
const FILE_BYTES: u64 = 16 * 1024;
/// Secrets in the file.
const SECRETS: usize = 8;
/// Bytes in one secret.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 32..=512;
/// Different characters in one secret; 64 random hexadecimal digits have fewer with a probability below 10^-20.
const DIFFERENT_CHARS: usize = 6;

/// Why a secret file cannot be used. Names the file and the line, never what is in them.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read the secret file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is not for its owner alone.
    #[error(
        "the secret file {} has mode {mode:03o}: every user of this host may use it. Run 'chmod 600 {0}' (or 640, with a group of those who \
         may read it), and replace the secret if others have accounts here",
        path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file does not hold secrets.
    #[error("the secret file {} {problem}; a good secret comes from 'raft-sentinel secret new'", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The problem and its line.
        problem: String,
    },
}

/// A secret file in use. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct SecretFile {
    path: PathBuf,
    keys: Arc<Renewed<Keys, SecretError>>,
}

impl SecretFile {
    /// Reads the file.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let what = format!("the secrets in {}", path.display());
        let (named, file) = (path.to_owned(), path.to_owned());
        let keys = Renewed::load(what, move || vec![named.clone()], move || read(&file))?;
        Ok(Self { path: path.to_owned(), keys: Arc::new(keys) })
    }

    /// The keys as of the last look at the file.
    pub fn keys(&self) -> Arc<Keys> {
        self.keys.current()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// For [`keep_fresh`](crate::renewal::keep_fresh).
    pub fn renewable(&self) -> Arc<dyn Renewable> {
        Arc::clone(&self.keys) as Arc<dyn Renewable>
    }
}

fn read(path: &Path) -> Result<Keys, SecretError> {
    let unread = |source| SecretError::Read { path: path.to_owned(), source };
    let content = |problem: String| SecretError::Content { path: path.to_owned(), problem };
    let file = File::open(path).map_err(unread)?;
    // Of the file that is open, so that it cannot be exchanged between the look and the reading.
    let meta = file.metadata().map_err(unread)?;
    if !meta.is_file() {
        return Err(content("is not a file".to_owned()));
    }
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(SecretError::Open { path: path.to_owned(), mode });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_BYTES as usize + 1));
    file.take(FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unread)?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(content(format!("is larger than {FILE_BYTES} bytes")));
    }
    parse(&bytes).map_err(content)
}

/// One secret a line, blank lines and comments aside.
fn parse(bytes: &[u8]) -> Result<Keys, String> {
    let mut secrets: Vec<&[u8]> = Vec::new();
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        check(line).map_err(|problem| format!("has a line {number} that is no secret: {problem}"))?;
        if secrets.len() == SECRETS {
            return Err(format!("has more than {SECRETS} secrets; one is enough, and two while it is replaced"));
        }
        secrets.push(line);
    }
    Keys::new(&secrets).ok_or_else(|| "holds no secret; expected one a line".to_owned())
}

fn check(line: &[u8]) -> Result<(), String> {
    let (min, max) = (SECRET_BYTES.start(), SECRET_BYTES.end());
    if !SECRET_BYTES.contains(&line.len()) {
        return Err(format!("it has {} bytes, and {min} to {max} are expected", line.len()));
    }
    if !line.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
        return Err("it has other characters than printable ASCII".to_owned());
    }
    let mut different = line.to_vec();
    different.sort_unstable();
    different.dedup();
    if different.len() < DIFFERENT_CHARS {
        return Err(format!("it has only {} different characters, so it can be guessed", different.len()));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails may panic")]
mod tests {
    use std::fs;

    use super::super::generate;
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn with(text: &str, mode: u32) -> Result<Keys, SecretError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        read(&path)
    }

    #[test]
    fn secrets_are_lines_between_comments() {
        let keys = with(&format!("# since May\n\n  {SECRET}\t\r\n{}\n", *generate().unwrap()), 0o600).unwrap();
        assert_eq!(keys.all().len(), 2);
        assert_eq!(keys.current().id(), with(SECRET, 0o640).unwrap().current().id());
    }

    #[test]
    fn a_file_for_everybody_is_refused_whatever_is_in_it() {
        for mode in [0o604, 0o644, 0o666, 0o602, 0o601] {
            let error = with(SECRET, mode).unwrap_err().to_string();
            assert!(error.contains(&format!("mode {mode:03o}")) && error.contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_and_not_quoted() {
        let many: String = (10..30).map(|n| format!("{SECRET}{n}\n")).collect();
        let cases = [
            ("", "holds no secret"),
            ("# nothing\n", "holds no secret"),
            ("# ours\nhunter2hunter2\n", "line 2 that is no secret: it has 14 bytes"),
            (&"Swordfish".repeat(100), "it has 900 bytes"),
            (&"ab".repeat(20), "only 2 different characters"),
            (&format!("{SECRET}\u{e9}"), "printable ASCII"),
            (&format!("{SECRET}\0"), "printable ASCII"),
            (&many, "more than 8 secrets"),
            (&format!("#{}\n{SECRET}", "x".repeat(17_000)), "larger than 16384 bytes"),
        ];
        for (text, expected) in cases {
            let error = with(text, 0o600).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:.40}: {error}");
            assert!(!error.contains("hunter2") && !error.contains("Swordfish") && !error.contains(SECRET), "{error}");
        }
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_bad_one_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let write = |text: &str| {
            let fresh = dir.path().join("fresh");
            fs::write(&fresh, text).unwrap();
            fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600)).unwrap();
            fs::rename(&fresh, &path).unwrap();
        };
        write(SECRET);
        let file = SecretFile::read(&path).unwrap();
        let old = file.keys().current().id();
        let next = generate().unwrap();
        write(&format!("{}\n{SECRET}\n", *next));
        file.renewable().renew();
        assert_ne!(file.keys().current().id(), old);
        assert!(file.keys().find(old).is_some());
        let current = file.keys().current().id();
        write("too short");
        file.renewable().renew();
        assert_eq!(file.keys().current().id(), current);
    }

    #[test]
    fn folders_and_missing_files_are_named() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(&dir.path().join("none")).unwrap_err().to_string().contains("cannot read the secret file"));
        assert!(read(dir.path()).unwrap_err().to_string().contains("is not a file"));
    }
}
