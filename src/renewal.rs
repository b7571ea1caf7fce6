//! Files that are read again when they change, under a running service: certificates, keys, secrets.
//!
//! Lives here: the look at the files ([`keep_fresh`]) and the hand-over from the old content to the new ([`Renewed`]). Does not live
//! here: the meaning of the files. Used by `tls` and `secret`, run by `app` and `ctl`.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Time between two looks at the files.
const LOOK_PERIOD: Duration = Duration::from_secs(2);

type Make<C, E> = Box<dyn Fn() -> Result<C, E> + Send + Sync>;

/// A value made from files, and made again when they change.
pub struct Renewed<C, E> {
    what: String,
    files: Box<dyn Fn() -> Vec<PathBuf> + Send + Sync>,
    make: Make<C, E>,
    current: RwLock<Arc<C>>,
    seen: Mutex<FileStamp>,
}

impl<C, E> Renewed<C, E> {
    /// Makes the value for the first time. `what` names it in the plural, for the log ("the certificates for connections to peers");
    /// `files` lists the files that it is made of, as they are now.
    ///
    /// # Errors
    /// The error of `make`.
    pub fn load(
        what: impl Into<String>,
        files: impl Fn() -> Vec<PathBuf> + Send + Sync + 'static,
        make: impl Fn() -> Result<C, E> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        // The stamp is taken first: what changes while the files are read is read again.
        let seen = Mutex::new(stamp(files()));
        let current = RwLock::new(Arc::new(make()?));
        Ok(Self { what: what.into(), files: Box::new(files), make: Box::new(make), current, seen })
    }

    /// The value for the next use.
    pub fn current(&self) -> Arc<C> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Shows no content: it may be a key.
impl<C, E> fmt::Debug for Renewed<C, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewed").field("what", &self.what).finish_non_exhaustive()
    }
}

/// A value made from files that may change.
pub trait Renewable: Send + Sync {
    /// Looks at the files, and reads them again if they have changed. Reads files, so not for a task that others wait for.
    ///
    /// Files that cannot be used change nothing: the old content goes on, and an error is logged once for each change.
    fn renew(&self);
}

impl<C: Send + Sync, E: fmt::Display> Renewable for Renewed<C, E> {
    fn renew(&self) {
        let now = stamp((self.files)());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return;
        }
        *seen = now;
        let what = &self.what;
        match (self.make)() {
            Ok(fresh) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
                tracing::info!("{what} have changed and are in use for new connections");
            }
            Err(error) => tracing::error!("{what} have changed but cannot be used; the old ones go on: {error}"),
        }
    }
}

/// Tells a changed file from an unchanged one. Links are followed: a link that points elsewhere is a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct FileStamp(Vec<(PathBuf, Option<[u64; 6]>)>);

/// The files as they are now.
fn stamp(files: Vec<PathBuf>) -> FileStamp {
    let look = |path: PathBuf| {
        let seen = std::fs::metadata(&path).map(|meta| {
            [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()]
                .map(i64::cast_unsigned)
                .into_iter()
                .chain([meta.ino(), meta.len()])
                .collect::<Vec<u64>>()
        });
        (path, seen.ok().and_then(|all| all.try_into().ok()))
    };
    FileStamp(files.into_iter().map(look).collect())
}

/// Looks at the files every few seconds until `cancel` is cancelled.
pub async fn keep_fresh(all: Vec<Arc<dyn Renewable>>, cancel: CancellationToken) {
    let mut ticks = tokio::time::interval(LOOK_PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = ticks.tick() => {}
        }
        for one in &all {
            let one = Arc::clone(one);
            // A panic in there has been reported by the hook; there is nothing to return.
            let _ = tokio::task::spawn_blocking(move || one.renew()).await;
        }
    }
}
