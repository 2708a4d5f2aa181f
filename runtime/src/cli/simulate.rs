//! `pattoo-wasm simulate`: Modbus TCP devices out of a YAML file.

use std::path::PathBuf;

use super::{Exit, Failure, interrupted, output::print_line};
use crate::simulate::{SAMPLE, Simulation};

const EXAMPLES: &str = "\
Examples:
  pattoo-wasm simulate --sample > devices.yaml
  pattoo-wasm simulate devices.yaml";

/// Arguments of `simulate`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The YAML file that describes the devices
    #[arg(required_unless_present = "sample")]
    file: Option<PathBuf>,

    /// Print a file to start from, with everything explained, and end
    #[arg(long, conflicts_with = "file")]
    sample: bool,
}

pub(super) async fn simulate(args: Args) -> Result<Exit, Failure> {
    let Some(path) = args.file else {
        print_line(SAMPLE.trim_end())?;
        return Ok(Exit::Good);
    };
    let wrong = |what: String| {
        Failure::usage(format!("{}: {what}", path.display()))
            .help("`pattoo-wasm simulate --sample` prints a file to start from")
    };
    let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
    let simulation = Simulation::from_yaml(&text).map_err(|error| wrong(error.to_string()))?;
    let bound = simulation.bind().await.map_err(|error| {
        Failure::usage(format!("{}: {error}", path.display())).help("choose another address for `listen:`")
    })?;
    for device in bound.devices() {
        let name = device.name.as_deref().unwrap_or("a device");
        tracing::info!("{name} on tcp://{}, units {:?}", device.address, device.units);
    }
    bound.serve(interrupted()).await;
    Ok(Exit::Good)
}
