//! Files and the command line become lines of words, each with its place. Nothing is understood here but `include`.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::place::{ConfError, Place};
use super::value::{Problem, shown};
use super::words;

/// Largest configuration file, in bytes: room for every group there may be.
const FILE_BYTES: u64 = 16 * 1024 * 1024;
/// Files that one configuration may consist of. Also ends what includes itself by another name.
const FILES: usize = 64;
/// Files that may be open within each other.
const DEPTH: usize = 8;

/// One directive with its arguments. No `Debug`: an argument may be a password.
pub(super) struct Line {
    /// Where it stands.
    pub(super) place: Place,
    /// The directive's name in lower case, then its arguments.
    pub(super) words: Vec<String>,
}

/// The lines of all files, then those of the command line.
#[derive(Default)]
pub(super) struct Source {
    /// The files, in the order in which they were opened.
    pub(super) files: Vec<PathBuf>,
    /// The lines, in order.
    pub(super) lines: Vec<Line>,
    /// The files that are being read right now, the innermost last.
    open: Vec<PathBuf>,
}

impl Source {
    /// Reads a file and what it includes, at this very place.
    ///
    /// A relative path of `include` starts in the directory of the file that says it, so that a configuration can be
    /// checked from anywhere. (Stock Sentinel starts in the working directory, or in `dir` once that has been said.)
    pub(super) fn read_file(&mut self, file: &Path, said_at: &Place) -> Result<(), ConfError> {
        let bytes = self.open(file).map_err(|problem| ConfError::new(said_at, problem))?;
        self.read_text(file, &bytes)?;
        self.open.pop();
        Ok(())
    }

    fn open(&mut self, file: &Path) -> Result<Vec<u8>, Problem> {
        let failed = |error: std::io::Error| format!("Fatal error, can't open config file {}: {error}", shown(&file.to_string_lossy()));
        let real = file.canonicalize().map_err(failed)?;
        if self.open.contains(&real) {
            return Err(format!("{} is included by itself", shown(&file.to_string_lossy())));
        }
        if self.files.len() >= FILES || self.open.len() >= DEPTH {
            return Err(format!("too many files: at most {FILES}, at most {DEPTH} deep"));
        }
        let mut bytes = Vec::new();
        File::open(&real).and_then(|opened| opened.take(FILE_BYTES + 1).read_to_end(&mut bytes)).map_err(failed)?;
        if bytes.len() as u64 > FILE_BYTES {
            return Err(format!("{} is larger than {FILE_BYTES} bytes", shown(&file.to_string_lossy())));
        }
        self.files.push(file.to_owned());
        self.open.push(real);
        Ok(bytes)
    }

    /// Reads what a file says. `file` names it in messages, and its directory is where includes start.
    pub(super) fn read_text(&mut self, file: &Path, bytes: &[u8]) -> Result<(), ConfError> {
        let name: Arc<Path> = file.into();
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        for (index, text) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let place = Place::Line { file: name.clone(), line: index + 1 };
            let words = line_words(text).map_err(|problem| ConfError::new(&place, problem))?;
            let base = file.parent().unwrap_or(Path::new(""));
            self.take(Line { place, words }, base)?;
        }
        Ok(())
    }

    /// Reads `--directive value ...`, which stock Sentinel appends to the file's text so that it wins.
    ///
    /// A word that begins with `--` begins a directive; the words after it are its arguments as they are. The
    /// directive's own word is split once more (`'--port 26380'` is one word of the shell), as stock does.
    pub(super) fn read_overrides(&mut self, overrides: &[String]) -> Result<(), ConfError> {
        let mut lines: Vec<Vec<String>> = Vec::new();
        for word in overrides {
            match (word.strip_prefix("--"), lines.last_mut()) {
                (Some(directive), _) => lines.push(directive_words(directive)?),
                (None, Some(line)) => line.push(word.clone()),
                (None, None) => {
                    let problem = format!("{} after the configuration file; expected --directive value ...", shown(word));
                    return Err(ConfError::new(&Place::CommandLine, problem));
                }
            }
        }
        lines.into_iter().try_for_each(|words| self.take(Line { place: Place::CommandLine, words: lowered(words) }, Path::new("")))
    }

    fn take(&mut self, line: Line, base: &Path) -> Result<(), ConfError> {
        match line.words.as_slice() {
            [] => Ok(()),
            [directive, path] if directive == "include" => {
                if path.contains(['*', '?', '[']) {
                    return Err(ConfError::new(&line.place, format!("include names one file, without wildcards; got {}", shown(path))));
                }
                self.read_file(&base.join(path), &line.place)
            }
            _ => {
                self.lines.push(line);
                Ok(())
            }
        }
    }
}

fn directive_words(directive: &str) -> Result<Vec<String>, ConfError> {
    let words = line_words(directive.as_bytes()).map_err(|problem| ConfError::new(&Place::CommandLine, problem))?;
    if words.is_empty() {
        return Err(ConfError::new(&Place::CommandLine, "'--' without a directive; expected --directive value ..."));
    }
    Ok(words)
}

/// The words of one line: none when it is blank or a comment.
fn line_words(text: &[u8]) -> Result<Vec<String>, Problem> {
    let text = text.trim_ascii();
    if text.starts_with(b"#") {
        return Ok(Vec::new());
    }
    let text = std::str::from_utf8(text).map_err(|_| "the line is not UTF-8 text".to_owned())?;
    if text.contains('\0') {
        return Err("the line contains a NUL byte; is this a text file?".to_owned());
    }
    let unbalanced = |_| format!("Unbalanced quotes in configuration line, after {}", shown(first_word(text)));
    let words: Result<Vec<String>, _> = words::split(text.as_bytes()).map_err(unbalanced)?.into_iter().map(String::from_utf8).collect();
    words.map(lowered).map_err(|_| format!("a \\x escape after {} makes a word that is not UTF-8 text", shown(first_word(text))))
}

/// What may be shown of a line that cannot be split: what follows may be a password.
fn first_word(text: &str) -> &str {
    text.split(|c: char| c.is_whitespace() || c == '"' || c == '\'').next().unwrap_or_default()
}

fn lowered(mut words: Vec<String>) -> Vec<String> {
    if let Some(directive) = words.first_mut() {
        directive.make_ascii_lowercase();
    }
    words
}
