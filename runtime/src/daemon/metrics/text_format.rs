//! The text format of Prometheus, version 0.0.4.

use std::{
    fmt::{Display, Write as _},
    time::Duration,
};

use pattoo_sandbox::capability::Family;

/// A page of metrics.
#[derive(Default)]
pub(super) struct Page {
    pub(super) text: String,
}

impl Page {
    /// Writes a family, under its previous name as well.
    pub(super) fn family(&mut self, family: Family, samples: impl Fn(&mut Samples<'_>)) {
        let Family { name, kind, help, previous_name, .. } = family;
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        samples(&mut Samples { name, text: &mut self.text });
        if let Some(previous) = previous_name {
            let _ = writeln!(
                self.text,
                "# HELP {previous} Deprecated: the previous name of {name}.\n# TYPE {previous} {kind}"
            );
            samples(&mut Samples { name: previous, text: &mut self.text });
        }
    }

    /// Writes a family of one sample.
    pub(super) fn single(&mut self, family: Family, value: impl Display) {
        self.family(family, |samples| samples.add("", &[], &value));
    }
}

/// The samples of one family.
pub(super) struct Samples<'a> {
    name: &'static str,
    text: &'a mut String,
}

impl Samples<'_> {
    /// Writes a sample. `suffix` is what its type adds to the name.
    pub(super) fn add(&mut self, suffix: &str, labels: &[(&str, &str)], value: &dyn Display) {
        let Self { name, text } = self;
        let _ = write!(text, "{name}{suffix}");
        let mut before = '{';
        for (label, value) in labels {
            let _ = write!(text, "{before}{label}=\"");
            for character in value.chars() {
                match character {
                    '\\' => text.push_str("\\\\"),
                    '"' => text.push_str("\\\""),
                    '\n' => text.push_str("\\n"),
                    _ => text.push(character),
                }
            }
            text.push('"');
            before = ',';
        }
        if !labels.is_empty() {
            text.push('}');
        }
        let _ = writeln!(text, " {value}");
    }
}

/// A moment in the unit of Prometheus; 0 for one that has not come.
pub(super) fn timestamp(millis: Option<u64>) -> f64 {
    seconds(Duration::from_millis(millis.unwrap_or_default()))
}

/// Whether something is up; NaN if that is unknown.
pub(super) fn up(is_up: Option<bool>) -> f64 {
    is_up.map_or(f64::NAN, |is_up| f64::from(u8::from(is_up)))
}

/// A time in the unit of Prometheus.
pub(super) fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}
