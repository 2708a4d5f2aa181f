//! The command line.
//!
//! Each subcommand has a file. It parses its arguments into types that are valid before it does
//! anything, and ends with an `Exit`, whose numbers are stable for scripts.

mod build;
mod check;
mod collection_flags;
mod compile;
mod completions;
mod daemon;
mod demo;
mod exit;
mod grant_flags;
mod inspect;
mod languages;
mod logging;
mod new;
mod receive;
mod run;
mod run_post;
mod simulate;
mod spool;
mod stdout;
mod usage;
mod values;

use std::{path::Path, process::ExitCode};

use clap::{ArgAction, CommandFactory as _, Parser, Subcommand, error::ErrorKind};
use pattoo_sandbox::{Cache, CompileLimits, Compiler};
use tokio::signal::unix::{Signal, SignalKind, signal};

pub(crate) use self::exit::{Exit, Failure};

/// Run WebAssembly collectors for pattoo, each with exactly the devices and web origins that are
/// granted to it
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Log more: -v for debug messages, -vv for all messages
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,

    /// Log less: only warnings and errors
    #[arg(short, long, global = true)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  pattoo-wasm run collector.wasm
      Collect once, and print what would be posted as JSON
  pattoo-wasm run collector.wasm --http https://site-a.example.org \\
          --modbus plc1=tcp://192.0.2.10:502
      Collect once, with a grant for one web origin and one Modbus device
  pattoo-wasm run collector.wasm --post http://192.0.2.5:20201
      Collect once, and post to the pattoo server

Exit codes:
  0  collected, and with --post delivered
  1  internal error
  2  invalid arguments or configuration
  3  the collector returned an error
  4  the collector was stopped: trap, deadline, memory or another limit
  5  collected, but not delivered";

#[derive(Debug, Subcommand)]
enum Command {
    /// Collect once with one module, and print or post the datapoints
    Run(Box<run::Args>),
    /// Run every collector of `pattoo_wasm.yaml` on its interval, until stopped
    Daemon(daemon::Args),
    /// List, retry and delete payloads in the spool
    Spool(spool::Args),
    /// Validate the configuration, its modules and its files
    Check(check::Args),
    /// Receive payloads as the pattoo server does, for tests
    Receive(receive::Args),
    /// Show what a module can do, and with --run which access a collection requests
    Inspect(Box<inspect::Args>),
    /// Simulate Modbus devices from a YAML file
    Simulate(simulate::Args),
    /// Create a project for a collector
    New(new::Args),
    /// Build the collector in a folder with the tools of its language
    Build(build::Args),
    /// Demonstrate two collectors on loopback, with devices, web sites and a receiver
    Demo(demo::Args),
    /// Compile a module from stdin to stdout, as the child process of other commands
    #[command(hide = true)]
    Compile(compile::Args),
    /// Print the completion script of a shell
    Completions(completions::Args),
    /// Write the man pages into a folder
    Man(completions::ManArgs),
}

/// Parses the command line, runs the command, and prints how it failed.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if is_usage_error(&error) => {
            let failure = usage::failure(&error, &Cli::command(), std::env::args_os());
            failure.print();
            return failure.exit.into();
        }
        // The help or the version.
        Err(error) => error.exit(),
    };
    let format = match &cli.command {
        Command::Daemon(args) => args.log_format,
        _ => logging::Format::default(),
    };
    let in_background = matches!(cli.command, Command::Daemon(_));
    logging::start(cli.verbose, cli.quiet, format, in_background);
    pattoo_sandbox::save_address_space();
    if in_background {
        pattoo_sandbox::return_freed_memory();
    }
    let result = match cli.command {
        Command::Compile(args) => compile::compile(&args),
        Command::Completions(args) => completions::print(&args),
        Command::Man(args) => completions::write_man_pages(&args),
        Command::New(args) => new::new(&args),
        Command::Build(args) => build::build(&args),
        Command::Run(args) => in_runtime(run::run(*args, None)),
        Command::Daemon(args) => in_runtime(daemon::daemon(args, logging::requested_level(cli.verbose, cli.quiet))),
        Command::Spool(args) => in_runtime(spool::spool(args)),
        Command::Check(args) => in_runtime(check::check(args)),
        Command::Receive(args) => in_runtime(receive::receive(args)),
        Command::Inspect(args) => in_runtime(inspect::inspect(*args)),
        Command::Simulate(args) => in_runtime(simulate::simulate(args)),
        Command::Demo(args) => in_runtime(demo::demo(args)),
    };
    logging::finish();
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.print();
            failure.exit.into()
        }
    }
}

/// Whether an error of the parser is about the arguments. Otherwise it is a text that was
/// requested, or the help for a command without arguments.
fn is_usage_error(error: &clap::Error) -> bool {
    error.use_stderr() && error.kind() != ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
}

fn in_runtime(command: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    // A host call may block a thread for some milliseconds. More threads than processors let others
    // run meanwhile.
    const MORE_THREADS: usize = 2;
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(processors.saturating_add(MORE_THREADS))
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(format!("cannot start the runtime: {error}")))?;
    let result = runtime.block_on(command);
    // A name look-up cannot be cancelled and may take long. Its result is no longer needed.
    runtime.shutdown_background();
    result
}

/// How to fix an engine that does not start.
const ENGINE_HELP: &str = "raise the limit on address space (`ulimit -v`, or `LimitAS=` of the unit)";

/// The compiler, which runs this program as its child process.
fn compiler() -> Result<Compiler, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::internal(format!("cannot find the path of this program: {error}")))?;
    Ok(Compiler::new(program, CompileLimits::default()))
}

/// The cache in this folder. Without one every start compiles again, which is only slow.
fn cache(folder: &Path) -> Option<Cache> {
    Cache::open(folder).inspect_err(|error| tracing::warn!("compiled code is not cached: {error}")).ok()
}

/// The request to stop a command, by a signal.
#[derive(Debug)]
struct Interruption(tokio::sync::watch::Receiver<bool>);

impl Interruption {
    /// Handles signals from now on. The first one is a request, which the command fulfils when it
    /// can. The second one ends the process at once.
    fn listen() -> Self {
        let (sender, receiver) = tokio::sync::watch::channel(false);
        // The handlers are installed before this returns, not when the task first runs.
        let mut signals = StopSignals::listen();
        tokio::spawn(async move {
            signals.next().await;
            let _ = sender.send(true);
            signals.next().await;
            std::process::exit(Exit::CollectorStopped as i32);
        });
        Self(receiver)
    }

    /// Waits for the request; ready at once if it was made before.
    async fn wait(&mut self) {
        // An error means that the task is gone, so no request will come.
        if self.0.wait_for(|requested| *requested).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Waits for a signal to stop. Signals are handled from this call on, so that none is missed before
/// the result is awaited.
fn interrupted() -> impl Future<Output = ()> {
    let mut signals = StopSignals::listen();
    async move { signals.next().await }
}

/// The signals that request a command to stop: SIGINT (Ctrl-C) and SIGTERM. A signal that cannot be
/// handled keeps its default effect: it ends the process.
struct StopSignals(Option<Signal>, Option<Signal>);

impl StopSignals {
    fn listen() -> Self {
        Self(signal(SignalKind::interrupt()).ok(), signal(SignalKind::terminate()).ok())
    }

    /// Waits for the next of them.
    async fn next(&mut self) {
        async fn one(signal: &mut Option<Signal>) {
            match signal {
                Some(signal) => {
                    signal.recv().await;
                }
                None => std::future::pending().await,
            }
        }
        tokio::select! {
            () = one(&mut self.0) => {}
            () = one(&mut self.1) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::{CommandFactory as _, Parser as _};

    /// The message and the help for arguments that cannot be used.
    fn refusal(arguments: &str) -> (String, String) {
        let arguments: Vec<OsString> = arguments.split(' ').map(OsString::from).collect();
        let error = super::Cli::try_parse_from(&arguments).unwrap_err();
        let failure = super::usage::failure(&error, &super::Cli::command(), arguments);
        failure.message()
    }

    #[test]
    fn usage_error_has_a_cause_and_names_the_help_of_its_subcommand() {
        for (arguments, what, help) in [
            (
                "pattoo-wasm spool list --limit much",
                "invalid value `much` for `--limit <COUNT>`: expected an integer, 0 or more, for example 100",
                "see `pattoo-wasm spool list --help`",
            ),
            (
                "pattoo-wasm spool list --limti 3",
                "unknown argument `--limti`",
                "did you mean `--limit`? see `pattoo-wasm spool list --help`",
            ),
            (
                "pattoo-wasm simulate --sample=fault",
                "invalid value `fault` for `--sample[=<WHICH>]`: expected one of `devices`, `faults`",
                "did you mean `faults`? see `pattoo-wasm simulate --help`",
            ),
            ("pattoo-wasm -v spol", "unknown command `spol`", "did you mean `spool`? see `pattoo-wasm --help`"),
            ("pattoo-wasm run", "missing argument: `<MODULE>`", "see `pattoo-wasm run --help`"),
            (
                "pattoo-wasm spool retry 3 --all",
                "`[ID]...` cannot be used with `--all`",
                "see `pattoo-wasm spool retry --help`",
            ),
            (
                "pattoo-wasm new a --lang",
                "missing value for `--lang <LANGUAGE>`: expected one of `rust`, `python`, `c`, `go`, `javascript`, `typescript`",
                "see `pattoo-wasm new --help`",
            ),
        ] {
            assert_eq!(refusal(arguments), (what.to_owned(), help.to_owned()), "{arguments}");
        }
    }

    #[test]
    fn command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn previous_names_of_flags_are_hidden_aliases() {
        // words: keep, the flag's previous name
        let previous = ["pattoo-wasm", "receive", "--mood", "scenario.yaml"];
        assert!(super::Cli::command().try_get_matches_from(previous).is_ok());
    }
}
