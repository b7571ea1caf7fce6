//! Files that are there whole or not at all.

use std::fs::{File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::StoreError;

/// Makes what happened to the names in `dir` durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(StoreError::io("make durable", dir))
}

/// Replaces `dir/name` by `content`: after a crash the old one is there, or the new one.
pub(super) fn replace(dir: &Path, name: &str, content: &[u8]) -> Result<(), StoreError> {
    let path = dir.join(name);
    let fresh = dir.join(format!("{name}.new"));
    let mut file = create_private(&fresh)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(StoreError::io("write", &fresh))?;
    std::fs::rename(&fresh, &path).map_err(StoreError::io("put in place", &path))?;
    sync_dir(dir)
}

/// Creates a file that only its owner may read: the log holds passwords. What was there is emptied.
pub(super) fn create_private(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path).map_err(StoreError::io("create", path))
}

/// Creates a directory that only its owner may enter, or takes the rights of others away from one that is there.
pub(super) fn private_dir(path: &Path) -> Result<(), StoreError> {
    match std::fs::create_dir(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(StoreError::io("create the directory", path)(error)),
        Ok(()) | Err(_) => {}
    }
    std::fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(StoreError::io("set the permissions of", path))
}
