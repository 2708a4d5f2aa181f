//! The command line: what was typed, and what it comes to.
//!
//! One file per subcommand. Each parses what was typed into types that cannot be wrong before it does anything, and ends in
//! an `Exit`, whose numbers are a promise to scripts.

mod build;
mod check;
mod collection;
mod compile;
mod completions;
mod daemon;
mod demo;
mod inspect;
mod languages;
mod logging;
mod new;
mod output;
mod posting;
mod receive;
mod report;
mod run;
mod simulate;
mod spool;

use std::{path::Path, process::ExitCode};

use clap::{ArgAction, Parser, Subcommand};
use pattoo_sandbox::{Cache, CompileLimits, Compiler};
use tokio::signal::unix::{Signal, SignalKind, signal};

pub(crate) use self::report::{Exit, Failure};

/// Runs WebAssembly collectors for pattoo, each with exactly the devices and web origins granted to it.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Say more: -v for debug messages, -vv for all
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,

    /// Say less: warnings and errors only
    #[arg(short, long, global = true)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  pattoo-wasm run collector.wasm
      One collection; what would be posted goes to stdout as JSON
  pattoo-wasm run collector.wasm --http https://site-a.example.org \\
          --modbus plc1=tcp://192.0.2.10:502
      The same, with one web origin and one Modbus device granted
  pattoo-wasm run collector.wasm --post http://192.0.2.5:20201
      One collection, posted to the pattoo server

Exit codes:
  0  collected, and with --post delivered
  1  a fault of our own
  2  usage or configuration
  3  the collector returned an error
  4  the collector was stopped: trap, deadline, memory or another limit
  5  collected, but not delivered";

#[derive(Debug, Subcommand)]
enum Command {
    /// Make one collection of one module, and print or post it
    Run(Box<run::Args>),
    /// Run every collector of `pattoo_wasm.yaml` on its interval, until stopped
    Daemon(daemon::Args),
    /// Look at what waits for the server and what was set aside, and decide on it
    Spool(spool::Args),
    /// Find what is wrong with the configuration before the daemon does
    Check(check::Args),
    /// Receive what agents post, as the pattoo server would: for trying things out
    Receive(receive::Args),
    /// Say what a module could ever do, and with --run what one collection asks for
    Inspect(Box<inspect::Args>),
    /// Be Modbus devices described in a YAML file
    Simulate(simulate::Args),
    /// Make a project for a collector, which builds and runs as it is
    New(new::Args),
    /// Build the collector in a folder with its language's own tools
    Build(build::Args),
    /// Show it all at work on loopback: devices, a web site, two collectors and a receiver
    Demo(demo::Args),
    /// Compile a module from stdin to stdout: the child process of the others
    #[command(hide = true)]
    Compile(compile::Args),
    /// Print the completion script of a shell
    Completions(completions::Args),
    /// Write the man pages into a folder
    Man(completions::ManArgs),
}

/// Parses the command line, runs the command, and says how it ended.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let format = match &cli.command {
        Command::Daemon(args) => args.log_format,
        _ => logging::Format::default(),
    };
    let in_background = matches!(cli.command, Command::Daemon(_));
    logging::start(cli.verbose, cli.quiet, format, in_background);
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
        Command::Daemon(args) => in_runtime(daemon::daemon(args, logging::asked_for(cli.verbose, cli.quiet))),
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

fn in_runtime(command: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    // A host call may hold a thread for some milliseconds, and the system divides processors among threads in smaller pieces.
    const MORE_THREADS: usize = 2;
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(processors.saturating_add(MORE_THREADS))
        .enable_all()
        .build()
        .map_err(|error| Failure::fault(format!("the runtime does not start: {error}")))?;
    let result = runtime.block_on(command);
    // A name look-up cannot be cancelled and may hang for long; nobody waits for its answer any more.
    runtime.shutdown_background();
    result
}

/// The compiler that runs this very program.
fn compiler() -> Result<Compiler, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::fault(format!("this program does not know where it is: {error}")))?;
    Ok(Compiler::new(program, CompileLimits::default()))
}

/// The cache in this folder. Without one every start compiles anew, which is slow and nothing worse.
fn cache(folder: &Path) -> Option<Cache> {
    Cache::open(folder).inspect_err(|error| tracing::warn!("compiled code is not kept: {error}")).ok()
}

/// The wish of whoever runs a command that it stop.
#[derive(Debug)]
struct Interruption(tokio::sync::watch::Receiver<bool>);

impl Interruption {
    /// Listens from now on. The first signal is a wish, which the command fulfils as it sees fit; the second ends the process
    /// there and then.
    fn listen() -> Self {
        let (sender, receiver) = tokio::sync::watch::channel(false);
        // The handlers are there when this returns, and not only when the task has its first turn.
        let mut signals = StopSignals::listen();
        tokio::spawn(async move {
            signals.next().await;
            let _ = sender.send(true);
            signals.next().await;
            std::process::exit(Exit::GuestStopped as i32);
        });
        Self(receiver)
    }

    /// Waits for the wish; ready at once when it was uttered before.
    async fn wait(&mut self) {
        // An error means that nobody listens any more, so that nothing will come.
        if self.0.wait_for(|wished| *wished).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The signal to stop. It is listened to from this call on, so that none is missed that comes before it is waited for.
fn interrupted() -> impl Future<Output = ()> {
    let mut signals = StopSignals::listen();
    async move { signals.next().await }
}

/// The signals that ask a command to stop: SIGINT (Ctrl-C) and SIGTERM. One that cannot be handled keeps its usual effect, which is
/// to end the process.
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
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
