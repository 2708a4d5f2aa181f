//! `pattoo-wasm inspect`: what a module is and can do, and with `--run` which access one collection
//! requests.
//!
//! The collection is like any other: it reaches only what was granted on the command line. Its
//! datapoints are counted and discarded, and its state is not stored. All access that it requested,
//! granted or denied, becomes the grant that is printed. The user decides whether to use that
//! grant.

mod report;
mod text_report;

use std::{path::PathBuf, sync::Arc};

use pattoo_measurement::AgentId;
use pattoo_output::pattoo::PattooJson;
use pattoo_sandbox::{
    Collector, Module, Sandbox,
    capability::{Assignment, Recorder},
};

use self::report::{Report, RunReport};
use super::{
    Exit, Failure, Interruption,
    collection_flags::{CollectionFlags, load},
    run::own_endpoints,
    stdout::print_line,
};
use crate::config::DataDirectory;

const EXAMPLES: &str = "\
Examples:
  pattoo-wasm inspect collector.wasm
      Show what the module is, what it imports, and what it can do with grants
  pattoo-wasm inspect collector.wasm --run --settings settings.yaml
      Collect once without a grant: all access is denied, and the grant that
      allows it is printed
  pattoo-wasm inspect collector.wasm --run --settings settings.yaml \\
          --grants grants.yaml
      Collect once with these grants: the collector may request more access now

Nothing is sent to pattoo, and nothing is stored. With --run the collector reaches
only what is granted on this command line.";

/// Arguments of `inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Inspect this WebAssembly component or core module (.wasm), or its text format (.wat)
    module: PathBuf,

    /// Collect once, and print the requested access; the flags below apply to this collection
    #[arg(long)]
    run: bool,

    /// Print one line of JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    collection: CollectionFlags,
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
        report.run = Some(collect(&args, &directory, &sandbox, &collector).await?);
    }
    if args.json {
        print_line(serde_json::to_vec(&report).map_err(Failure::internal)?)?;
    } else {
        print_line(text_report::page(&report))?;
    }
    Ok(Exit::Success)
}

/// Collects once with the grants of the command line.
async fn collect(
    args: &Args,
    directory: &DataDirectory,
    sandbox: &Sandbox,
    collector: &Collector,
) -> Result<RunReport, Failure> {
    let flags = &args.collection;
    let recorder = Recorder::default();
    let assignment = Assignment::builder(Arc::new(flags.agent(&args.module, directory, |_| AgentId::passing())?))
        .settings(flags.settings()?)
        .grants(flags.grants()?)
        .limits(flags.limits()?.collection)
        .own(own_endpoints(None).await?)
        .sinks(Arc::new(PattooJson))
        .recorder(recorder.clone())
        .build()?;
    let mut stop = Interruption::listen();
    let outcome = sandbox.collect_until(collector, Arc::new(assignment), stop.wait()).await;
    Ok(RunReport::new(&outcome, &recorder.requested()))
}
