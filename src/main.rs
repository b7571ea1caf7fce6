//! The `raft-sentinel` program: the command line, the log, and the exit code. Everything else is in the library.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use raft_sentinel::app;
use raft_sentinel::conf::cli::{Cli, Command, LogFormat, Secret, Serve};
use raft_sentinel::{conf, ctl, gate, secret};

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(serve) => run(&serve),
        Command::Check(check) => {
            let report = check.run(app::check_named_files);
            print!("{report}");
            let mut well = report.is_ok();
            if check.online {
                let (answered, lines) = app::ask_servers(report.configs());
                lines.iter().for_each(|line| println!("{line}"));
                well &= answered;
            }
            return if well { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        Command::Secret(Secret::New) => {
            secret::generate().map(|line| println!("{}", *line)).ok_or_else(|| "the system has no random numbers".to_owned())
        }
        Command::Gate(asked) => {
            let ended = gate::run(&asked);
            eprintln!("raft-sentinel gate: {ended}");
            return ExitCode::from(ended.code());
        }
        Command::Ask(command) => match ask(command) {
            Ok(()) => Ok(()),
            Err((code, message)) => {
                eprintln!("raft-sentinel: {message}");
                return code;
            }
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("raft-sentinel: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(serve: &Serve) -> Result<(), String> {
    let config = serve.config().map_err(|error| error.to_string())?;
    let file = config.log.file.as_ref().map(|path| config.resolve(path));
    app::telemetry::start(file.as_deref(), config.log.level, serve.log_format == LogFormat::Json)
        .map_err(|error| format!("cannot open the log file {}: {error}", file.unwrap_or_default().display()))?;
    die_of_panics();
    // Whatever takes the log does not have to be there for this process to end.
    let _written = LogFlush;
    let threads = app::Threads::start().map_err(|error| format!("cannot start threads: {error}"))?;
    threads.run(config).map_err(|error| {
        tracing::error!("{error}");
        error.to_string()
    })
}

/// Waits for the last log lines to be written, on every way out.
struct LogFlush;

impl Drop for LogFlush {
    fn drop(&mut self) {
        app::telemetry::flush(LAST_WORDS);
    }
}

/// How long the last log lines may take to be written.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Scripts learn the reason from the exit code of `master`; the other commands fail with 1, as they always did.
fn ask(mut command: ctl::Command) -> Result<(), (ExitCode, String)> {
    let target = command.target_mut();
    if let Some(file) = target.config.clone() {
        let config = conf::load(&file, &[]).map_err(|error| (ExitCode::FAILURE, error.to_string()))?;
        if config.grpc_listen.is_empty() {
            return Err((ExitCode::FAILURE, format!("{}: gRPC is off, so that this sentinel cannot be asked", file.display())));
        }
        target.ask_at(config.grpc_listen.into_iter().map(|listen| listen.addr), config.grpc_tls);
    }
    let for_scripts = matches!(command, ctl::Command::Master { .. });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| (ExitCode::FAILURE, format!("cannot start the runtime: {error}")))?;
    let ended = runtime.block_on(ctl::run(command, &mut std::io::stdout()));
    // Who reads (`| head`) has enough.
    let enough = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    if ended.as_ref().is_err_and(|error| error.chain().filter_map(|cause| cause.downcast_ref()).any(enough)) {
        return Ok(());
    }
    ended.map_err(|error| {
        let unanswered = error.downcast_ref::<ctl::Unanswered>().filter(|_| for_scripts);
        (unanswered.map_or(ExitCode::FAILURE, |unanswered| ExitCode::from(unanswered.code())), format!("{error:#}"))
    })
}

/// A broken invariant in one task must not leave a sentinel that goes on without it.
fn die_of_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!("broken invariant, stopping at once: {panic}");
        // Neither a log nor a standard error that nobody reads keeps a broken process alive.
        std::thread::spawn(|| {
            std::thread::sleep(2 * LAST_WORDS);
            std::process::abort();
        });
        app::telemetry::flush(LAST_WORDS);
        print(panic);
        std::process::abort();
    }));
}
