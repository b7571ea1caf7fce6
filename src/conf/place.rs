//! Where something was said, and what is wrong or worth knowing about it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where a directive stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line of a file, counted from 1.
    Line {
        /// The file, as it was named.
        file: Arc<Path>,
        /// The line.
        line: usize,
    },
    /// A whole file, or what follows from all of it.
    File(Arc<Path>),
    /// `--directive value ...` after the file's name.
    CommandLine,
}

impl Place {
    /// The line of a file; none for what stands on no line.
    pub const fn line(&self) -> Option<usize> {
        match self {
            Self::Line { line, .. } => Some(*line),
            Self::File(_) | Self::CommandLine => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { file, line } => write!(f, "{}:{line}", file.display()),
            Self::File(file) => write!(f, "{}", file.display()),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

/// Why a configuration is refused: the first thing that is wrong with it.
///
/// Never holds a password: it names directives, counts and harmless values only.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ConfError {
    /// Where.
    pub place: Place,
    /// What is wrong, with the word, and what is expected.
    pub problem: String,
}

impl ConfError {
    pub(super) fn new(place: &Place, problem: impl Into<String>) -> Self {
        Self { place: place.clone(), problem: problem.into() }
    }
}

/// Something an operator should know about a configuration that is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Where.
    pub place: Place,
    /// What.
    pub text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}
