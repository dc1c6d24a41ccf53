//! The command line.

mod args;
mod connect_client;
mod interpreter;
mod remote;
mod run;
mod run_sql;
mod serve;
mod signals;
mod sql_script;

use std::process::ExitCode;

use clap::Parser;

pub use args::{Args, Command};

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let args = Args::parse_from(args::reorder(std::env::args().collect()));
    let result = match args.command {
        Command::Server(server) => serve::serve(&server),
        Command::Run(run) => run::run(&run),
    };
    result.unwrap_or_else(|error| {
        report(&error);
        ExitCode::FAILURE
    })
}

/// One line for a person: the error and its causes.
#[expect(clippy::print_stderr, reason = "the command line talks to a person")]
fn report(error: &anyhow::Error) {
    eprintln!("millstream: {error:#}");
}

/// Sends log lines at `default` and above to stderr; `RUST_LOG` says otherwise.
///
/// `plain` lines have no time and no module: they stand among a script's own output.
fn log_to_stderr(default: &str, plain: bool) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let colors = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colors);
    // A second call, as in tests, changes nothing.
    let _ = if plain { log.without_time().with_target(false).try_init() } else { log.try_init() };
}
