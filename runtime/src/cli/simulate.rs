//! `pattoo-wasm simulate`: simulated Modbus devices from a YAML file.

use std::path::PathBuf;

use pattoo_base::files;

use super::{Exit, Failure, interrupted, stdout::print_line};
use crate::{
    config,
    simulate::{BindError, FAULTS_SAMPLE, SAMPLE, Simulation},
};

/// The largest file of devices, in bytes.
const MAX_FILE: u64 = 4 << 20;

const EXAMPLES: &str = "\
Examples:
  pattoo-wasm simulate --sample > devices.yaml
  pattoo-wasm simulate --sample=faults > faults.yaml
  pattoo-wasm simulate devices.yaml";

/// Arguments of `simulate`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Simulate the devices of this YAML file
    #[arg(required_unless_present = "sample")]
    file: Option<PathBuf>,

    /// Print an example file with explanations: devices without faults, or `faults`
    #[arg(long, conflicts_with = "file", value_name = "WHICH", num_args = 0..=1, require_equals = true, default_missing_value = "devices")]
    sample: Option<Sample>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Sample {
    /// Devices without faults: every kind of value
    Devices,
    /// Devices with faults: every fault, limit and transport
    Faults,
}

pub(super) async fn simulate(args: Args) -> Result<Exit, Failure> {
    let Some(path) = args.file else {
        let sample = if let Some(Sample::Faults) = args.sample { FAULTS_SAMPLE } else { SAMPLE };
        print_line(sample.trim_end())?;
        return Ok(Exit::Success);
    };
    let wrong = |what: String| {
        Failure::usage(format!("{}: {what}", path.display()))
            .help("compare it with the file that `pattoo-wasm simulate --sample` prints")
    };
    let text = files::read_text(&path, MAX_FILE).map_err(|error| {
        Failure::usage(format!("{}: {error}", path.display()))
            .help("give the path of a YAML file that this user can read; `pattoo-wasm simulate --sample` prints one")
    })?;
    // The size of its expanded aliases is limited before it is parsed.
    config::check_yaml(&path, &text)?;
    let simulation = Simulation::from_yaml(&text).map_err(|error| wrong(error.to_string()))?;
    let bound = simulation.bind().await.map_err(|error| {
        let help = match error {
            BindError::Address { .. } => "choose another address for `listen:`",
            BindError::Line { .. } => "choose another path for `pty:`, or write `pty: true` for a line without a link",
        };
        Failure::usage(format!("{}: {error}", path.display())).help(help)
    })?;
    let stop = interrupted();
    for device in bound.devices() {
        let name = device.name.as_deref().unwrap_or("a device");
        tracing::info!("{name} on {}, units {:?}", device.url, device.units);
    }
    bound.serve(stop).await;
    Ok(Exit::Success)
}
