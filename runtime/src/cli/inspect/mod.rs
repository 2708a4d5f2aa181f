//! `pattoo-wasm inspect`: what a module is and could ever do, and with `--run` what one collection asks for.
//!
//! A collection that is made here is one like any other: it reaches what was granted on the command line and nothing else, what
//! it emits is counted and thrown away, and what it would keep is not kept. What it was denied is written down with what it was
//! given, and becomes the grant that is printed: whether that is to be granted is for whoever reads it to say.

mod page;
mod report;

use std::{path::PathBuf, sync::Arc};

use pattoo_measurement::AgentId;
use pattoo_output::pattoo::Memory;
use pattoo_sandbox::{
    Collector, Module, Sandbox,
    capability::{Assignment, Recorder},
};

use self::report::{Report, RunReport};
use super::{
    Exit, Failure, Interruption,
    collection::{self, load},
    output::print_line,
    run::own_endpoints,
};
use crate::config::DataDirectory;

const EXAMPLES: &str = "\
Examples:
  pattoo-wasm inspect collector.wasm
      What it is, what it imports, and what it could do if it were granted
  pattoo-wasm inspect collector.wasm --run --settings settings.yaml
      What one collection asks for when nothing is granted: all of it is denied,
      and the grant that would allow it is printed
  pattoo-wasm inspect collector.wasm --run --settings settings.yaml \\
          --grants grants.yaml
      The same with these grants: it may get further now, and ask for more

Nothing is sent to pattoo, and nothing is kept. With --run the collector reaches
what was granted on this command line, and nothing else.";

/// Arguments of `inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The collector: a WebAssembly component or core module (.wasm), or the text format of either (.wat)
    module: PathBuf,

    /// Make one collection, and say what it asked for; the flags below are for that
    #[arg(long)]
    run: bool,

    /// Print one line of JSON instead
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    collection: collection::Flags,
}

/// Runs the command.
pub(super) async fn inspect(args: Args) -> Result<Exit, Failure> {
    let directory = DataDirectory::find()?;
    let limits = args.collection.limits()?.module;
    let module = Module::read_within(&args.module, &limits)?;
    let (kind, size) = (module.kind(), module.size());
    let (sandbox, collector) = load(&args.module, module, limits, &directory).await?;
    let mut report = Report::new(&args.module, kind, size, &collector);
    if args.run {
        report.run = Some(collect(&args, &sandbox, &collector).await?);
    }
    if args.json {
        print_line(serde_json::to_vec(&report).map_err(Failure::fault)?)?;
    } else {
        print_line(page::page(&report))?;
    }
    Ok(Exit::Good)
}

/// Makes one collection, with what the command line grants.
async fn collect(args: &Args, sandbox: &Sandbox, collector: &Collector) -> Result<RunReport, Failure> {
    let flags = &args.collection;
    let recorder = Recorder::default();
    let assignment = Assignment::builder(Arc::new(flags.agent(&args.module, |_| AgentId::passing())?))
        .settings(flags.settings()?)
        .grants(flags.grants()?)
        .limits(flags.limits()?.collection)
        .own(own_endpoints(None).await)
        .sinks(Arc::new(Memory::default()))
        .recorder(recorder.clone())
        .build()
        .map_err(Failure::usage)?;
    let mut stop = Interruption::listen();
    let outcome = sandbox.collect_until(collector, Arc::new(assignment), stop.wait()).await;
    Ok(RunReport::new(&outcome, &recorder.requested()))
}
