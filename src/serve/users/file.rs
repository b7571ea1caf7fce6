//! `aclfile`: one `user` line for each user.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use super::user::User;
use super::{AclError, Users};

/// Largest file that is read.
const FILE_BYTES: u64 = 4 * 1024 * 1024;

/// The users of a file.
pub(super) fn read(path: &Path, all_channels: bool) -> Result<Users, AclError> {
    let failed = |source| AclError::File { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(FILE_BYTES + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(failed(io::Error::other(format!("it is larger than {FILE_BYTES} bytes"))));
    }
    let mut users = BTreeMap::new();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let place = || format!("{}:{}", path.display(), number + 1);
        let mut words = line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
        match words.next() {
            None => continue,
            Some(word) if word.starts_with(b"#") => continue,
            Some(b"user") => {}
            Some(_) => return Err(wrong(place(), "", "a line begins with 'user'")),
        }
        let Some(name) = words.next().and_then(|name| std::str::from_utf8(name).ok()) else {
            return Err(wrong(place(), "", "a user has a name"));
        };
        let mut user = User::new(all_channels);
        for rule in words {
            let about = |error: super::RuleError| wrong(place(), name, &error.about(&String::from_utf8_lossy(rule)));
            user.apply(rule, all_channels).map_err(about)?;
        }
        if users.insert(name.to_owned(), Arc::new(user)).is_some() {
            return Err(wrong(place(), name, "Duplicate user found. A user can only be defined once in config files"));
        }
    }
    Ok(users)
}

fn wrong(place: String, user: &str, problem: &str) -> AclError {
    AclError::Line { place, user: user.to_owned(), problem: problem.to_owned() }
}

/// Replaces the file in one go, readable by its owner only.
pub(super) fn write(path: &Path, users: &Users) -> Result<(), AclError> {
    let lines: String = users.iter().map(|(name, user)| user.line(name) + "\n").collect();
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    let fresh = Path::new(&name);
    let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(fresh).and_then(|mut file| {
        file.write_all(lines.as_bytes())?;
        file.sync_all()?;
        fs::rename(fresh, path)?;
        path.parent().filter(|dir| !dir.as_os_str().is_empty()).map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    });
    written.map_err(|source| AclError::File { path: path.to_owned(), source })
}
