//! `health:`, the program under which the daemon reports on itself.

use pattoo_measurement::{PollingInterval, Program};
use pattoo_output::{OutputName, read_choice};
use pattoo_settings::{Fields, Form, Key, Kind, Reported};

use super::{collectors::Shared, forms::SECONDS, interval};

/// How the daemon reports on itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthSettings {
    /// The program of its datapoints, which no collector has.
    pub program: Program,
    /// How often it reports.
    pub polling_interval: PollingInterval,
    /// The outputs of its datapoints, at least one if any is configured.
    pub outputs: Vec<OutputName>,
}

/// The keys of the section.
pub(super) fn form() -> Form {
    Form::new(
        "`health`",
        vec![
            Key::new(
                "program",
                Kind::Text,
                "the program name of these datapoints, not that of a collector",
                "GATEWAY_HEALTH",
            )
            .required(),
            Key::new(
                "polling_interval",
                SECONDS,
                "seconds from one report to the next; by default those of `pattoo.yaml`, else 300",
                "60",
            ),
            Key::new(
                "outputs",
                Kind::List(&Kind::Text),
                "the names of the outputs of these datapoints; by default all outputs",
                "[pattoo, archive]",
            ),
        ],
    )
}

/// Reads the section.
pub(super) fn read(fields: Fields<'_>, shared: Shared<'_>) -> Result<HealthSettings, Reported> {
    let program = fields.required("program");
    let polling_interval = interval(fields, "polling_interval");
    let outputs = shared.outputs.map_or(Ok(Vec::new()), |outputs| read_choice(fields, outputs));
    Ok(HealthSettings {
        program: program?,
        polling_interval: polling_interval?.unwrap_or(shared.interval),
        outputs: outputs?,
    })
}
