//! From lines to settings: three passes over the `sentinel` lines, then what all of it amounts to.

use std::path::{Path, PathBuf};

use super::directive::{self, Directive, Stage, Treatment};
use super::draft::Draft;
use super::place::{ConfError, Note, Place};
use super::raft_group::Hints;
use super::settings::{Config, Listen, UnixSocket};
use super::source::{Line, Source};
use super::tls::Uses;
use super::value::Problem;
use super::{cross, proof, users, value};

/// So many problems are told of one file: more are of no use to a person.
const MOST_ERRORS: usize = 100;

/// Reads a configuration file, then `--directive value ...`, which win over it.
///
/// The file is read and never written.
///
/// # Errors
/// [`ConfError`]: the first thing that is wrong.
pub fn load(file: &Path, overrides: &[String]) -> Result<Config, ConfError> {
    let mut source = Source::default();
    source.read_file(file, &Place::File(file.into()))?;
    source.read_overrides(overrides)?;
    settle(file, source)
}

/// Reads a configuration from memory, as if it were the content of `file`.
///
/// # Errors
/// [`ConfError`]: the first thing that is wrong.
pub fn parse(file: &Path, text: &[u8], overrides: &[String]) -> Result<Config, ConfError> {
    let mut source = Source::default();
    source.files.push(file.to_owned());
    source.read_text(file, text)?;
    source.read_overrides(overrides)?;
    settle(file, source)
}

/// The same as [`load`], for those who want to know all that is wrong.
///
/// # Errors
/// What is wrong with the lines, in their order; at least one, and a hundred or so at most.
pub fn load_all(file: &Path, overrides: &[String]) -> Result<Config, Vec<ConfError>> {
    let mut source = Source::default();
    let read = source.read_file(file, &Place::File(file.into())).and_then(|()| source.read_overrides(overrides));
    read.map_err(|first| vec![first])?;
    settle_all(file, source)
}

fn settle(file: &Path, source: Source) -> Result<Config, ConfError> {
    settle_all(file, source).map_err(|errors| {
        let main = || ConfError::new(&Place::File(file.into()), "it cannot be read");
        errors.into_iter().next().unwrap_or_else(main)
    })
}

fn settle_all(file: &Path, source: Source) -> Result<Config, Vec<ConfError>> {
    let mut draft = Draft::new(file);
    let mut errors = apply_lines(&mut draft, &source.lines);
    if errors.is_empty() {
        return finish(draft, source.files, &Place::File(file.into())).map_err(|error| vec![error]);
    }
    if errors.len() >= MOST_ERRORS {
        errors.push(ConfError::new(&Place::File(file.into()), format!("there may be more: only {MOST_ERRORS} are told")));
        return Err(errors);
    }
    // What does not fit together is told as well, unless it may only follow from a line that was left out.
    let left_out: Vec<&str> = source.lines.iter().filter(|line| errors.iter().any(|error| error.place == line.place)).map(kind).collect();
    if left_out.iter().all(|kind| *kind == "sentinel")
        && let Err(error) = finish(draft, source.files, &Place::File(file.into()))
    {
        errors.push(error);
    }
    Err(errors)
}

/// The first word of a line.
fn kind(line: &Line) -> &str {
    line.words.first().map_or("", String::as_str)
}

/// Applies the lines in stages; within a stage in the order in which they stand. Returns what is wrong, the lines that nobody knows first, and
/// ends at the limit.
fn apply_lines(draft: &mut Draft, lines: &[Line]) -> Vec<ConfError> {
    let (mut found, mut errors) = (Vec::with_capacity(lines.len()), Vec::new());
    for line in lines {
        if errors.len() >= MOST_ERRORS {
            return errors;
        }
        match directive::find(&line.words) {
            Ok(known) => found.extend(known.map(|(row, args)| (line, row, args))),
            Err(problem) => errors.push(ConfError::new(&line.place, problem)),
        }
    }
    let mut unmonitored: Vec<&String> = Vec::new();
    for stage in [Stage::Process, Stage::AllGroups, Stage::Monitor, Stage::OneGroup] {
        for (line, row, args) in found.iter().filter(|(_, row, _)| row.stage == stage) {
            // That a group is not known where its own line is wrong is no news.
            if stage == Stage::OneGroup && args.first().is_some_and(|group| unmonitored.contains(&group)) {
                continue;
            }
            draft.place = line.place.clone();
            if let Err(problem) = apply(draft, *row, args) {
                errors.push(ConfError::new(&line.place, problem));
                if errors.len() >= MOST_ERRORS {
                    return errors;
                }
                if stage == Stage::Monitor {
                    unmonitored.extend(args.first());
                }
            }
        }
    }
    errors
}

fn apply(draft: &mut Draft, row: Directive, args: &[String]) -> Result<(), Problem> {
    match row.treatment {
        Treatment::Use(handler) => handler(draft, args).map_err(|problem| named(row.name, problem)),
        Treatment::GroupOption => {
            let option = row.name.trim_start_matches("sentinel ");
            draft.set_group_option(option, args).map_err(|problem| named(row.name, problem))
        }
        Treatment::Ignore(why) => {
            draft.note_once(row.name, &format!("'{}' has no effect here: {why}", row.name));
            Ok(())
        }
        Treatment::Refuse { harmless, advice } => match args.iter().all(|arg| harmless.contains(&arg.to_ascii_lowercase().as_str())) {
            true => Ok(()),
            false => Err(named(row.name, advice.to_owned())),
        },
    }
}

/// Every complaint about a value names its directive.
fn named(name: &str, problem: Problem) -> Problem {
    if problem.starts_with(name) { problem } else { format!("{name}: {problem}") }
}

fn finish(mut draft: Draft, sources: Vec<PathBuf>, main: &Place) -> Result<Config, ConfError> {
    let refused = |problem: Problem| ConfError::new(main, problem);
    users::check(&draft.resp).map_err(refused)?;
    let raft = std::mem::take(&mut draft.raft);
    let raft = raft.finish(&Hints { own_host: own_host(&draft), neighbours: draft.neighbour_hosts() }).map_err(refused)?;
    let grpc_listen: Vec<Listen> = cross::grpc_listen(&draft).map_err(refused)?;
    let monitored_at: Vec<Place> = draft.groups().iter().map(|(place, _)| place.clone()).collect();
    let dir = draft.dir.clone().unwrap_or_else(|| PathBuf::from("."));
    let tls_replication = draft.tls.replication;
    let uses = Uses {
        port: draft.resp.tls_port != 0,
        raft: raft.tls,
        grpc: draft.grpc_tls && !grpc_listen.is_empty(),
        raft_ca: raft.tls_ca_file.is_some(),
        grpc_ca: draft.grpc_ca_file.is_some(),
    };
    let grpc_ca_file = draft.grpc_ca_file.take().map(|path| dir.join(path));
    let tls = std::mem::take(&mut draft.tls).finish(&dir, &uses).map_err(refused)?;
    draft.resp.unix = draft.unix_path.take().map(|path| UnixSocket { path: dir.join(path), mode: draft.unix_mode });
    draft.resp.acl.file = draft.resp.acl.file.take().map(|path| dir.join(path));
    draft.sentinel.foreign.by_name = draft.sentinel.resolve_hostnames;
    let mut groups = draft.take_groups();
    for group in &mut groups {
        // Elections that came to nothing used epochs up, too: what is promoted here must be behind all of them.
        group.epoch = group.epoch.max(draft.sentinel.current_epoch_seed);
    }
    let mut config = Config {
        sources,
        pidfile: draft.pidfile.take().map(|path| dir.join(path)),
        dir,
        tls,
        tls_replication,
        log: draft.log,
        supervised: draft.supervised,
        resp: draft.resp,
        sentinel: draft.sentinel,
        raft,
        grpc_listen,
        connections: draft.connections,
        grpc_tls: uses.grpc,
        grpc_access: draft.grpc_access,
        grpc_ca_file,
        http_listen: draft.http,
        groups,
        notes: draft.notes,
    };
    cross::check_ports(&config).map_err(refused)?;
    proof::check(&config.raft).map_err(refused)?;
    if draft.dir.is_none() {
        config.notes.push(Note { place: main.clone(), text: "dir is not set: the log is kept in the working directory".to_owned() });
    }
    if let Some(place) = draft.daemonize {
        let text = "'daemonize yes' has no effect here: raft-sentinel stays in the foreground; let a service manager such as systemd start it (supervised auto)";
        config.notes.push(Note { place, text: text.to_owned() });
    }
    let more = cross::notes(&config, main, &monitored_at);
    config.notes.extend(more);
    Ok(config)
}

/// This sentinel's own host, where the file says which it is.
fn own_host(draft: &Draft) -> Option<&str> {
    let bound =
        || draft.resp.bind.iter().map(|bind| bind.host.as_str()).find(|host| !value::is_wildcard(host) && !host.starts_with("127."));
    draft.sentinel.announce_ip.as_deref().or_else(bound)
}
