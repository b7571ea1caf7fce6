//! Where log lines end: standard output, or a file that somebody else may move away.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Takes the lines.
pub(super) enum Sink {
    /// Standard output.
    Stdout(io::Stdout),
    /// A file.
    File(LogFile),
    #[cfg(test)]
    /// A pipe.
    Pipe(io::PipeWriter),
}

/// A log file that is opened again when something else, or nothing, is at its path: Debian's logrotate moves it away and tells nobody.
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// Device and inode of the open file.
    id: (u64, u64),
    /// Whether the last attempt to open it again failed, and was told.
    failed: bool,
}

impl Sink {
    /// Opens a file to append to it.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn file(path: &Path) -> io::Result<Self> {
        let (file, id) = open(path)?;
        Ok(Self::File(LogFile { path: path.to_owned(), file, id, failed: false }))
    }

    #[cfg(test)]
    pub(super) const fn pipe(pipe: io::PipeWriter) -> Self {
        Self::Pipe(pipe)
    }

    /// Writes a line.
    ///
    /// # Errors
    /// As the system says; a part may have been written.
    pub(super) fn write(&mut self, line: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => {
                stdout.write_all(line)?;
                stdout.flush()
            }
            Self::File(file) => file.file.write_all(line),
            #[cfg(test)]
            Self::Pipe(pipe) => pipe.write_all(line),
        }
    }

    /// Opens the file again.
    pub(super) fn reopen(&mut self) {
        if let Self::File(file) = self {
            file.reopen();
        }
    }

    /// Opens the file again if it is no longer the one at its path. One question to the system, so it may be asked for each line.
    pub(super) fn look(&mut self) {
        if let Self::File(file) = self
            && std::fs::metadata(&file.path).map(|at_path| identity(&at_path)).ok() != Some(file.id)
        {
            file.reopen();
        }
    }
}

impl LogFile {
    fn reopen(&mut self) {
        match open(&self.path) {
            Ok((file, id)) => {
                let moved = id != self.id;
                (self.file, self.id, self.failed) = (file, id, false);
                if moved {
                    tracing::info!("the log file {} is opened anew: it was moved away or removed", self.path.display());
                }
            }
            Err(error) if !self.failed => {
                self.failed = true;
                tracing::error!(
                    "cannot open the log file {} again: {error}; the old one is written on, wherever it is",
                    self.path.display()
                );
            }
            Err(_) => {}
        }
    }
}

fn open(path: &Path) -> io::Result<(File, (u64, u64))> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let id = identity(&file.metadata()?);
    Ok((file, id))
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_moved_away_is_opened_anew() {
        let dir = tempfile::tempdir().expect("a folder");
        let (path, old) = (dir.path().join("log"), dir.path().join("log.1"));
        let mut sink = Sink::file(&path).expect("a file");
        sink.write(b"one\n").expect("it is written");
        std::fs::rename(&path, &old).expect("it is moved");
        sink.write(b"two\n").expect("it is written");
        sink.look();
        sink.write(b"three\n").expect("it is written");
        let read = |path| std::fs::read_to_string(path).expect("it is there");
        assert_eq!((read(&old), read(&path)), ("one\ntwo\n".to_owned(), "three\n".to_owned()));
    }
}
