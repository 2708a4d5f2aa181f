//! The interfaces that a collector may import, and in words what each lets it do.

/// An interface that a collector may import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interface {
    /// Its name without its version: `pattoo:agent/http`.
    pub name: &'static str,
    /// The version that is served.
    pub version: &'static str,
    /// What a collector can do with it.
    pub reach: Reach,
    /// The same in words.
    pub does: &'static str,
}

/// What an import can reach outside the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Web origins, if they are granted.
    Web,
    /// Modbus devices, if they are granted.
    Modbus,
    /// The pattoo server, by datapoints.
    Datapoints,
    /// What the program itself kept.
    State,
    /// The log.
    Log,
    /// Nothing: time, randomness, settings, or an interface that is there and empty.
    Nothing,
}

/// The version of our own contract.
const OURS: &str = "0.1.0";
/// The version of WASI; what was made for any 0.2 is served.
const WASI: &str = "0.2";

const fn interface(name: &'static str, version: &'static str, reach: Reach, does: &'static str) -> Interface {
    Interface { name, version, reach, does }
}

/// Everything that may be imported.
pub static INTERFACES: [Interface; 37] = [
    interface("pattoo:agent/types", OURS, Reach::Nothing, "the types of the others"),
    interface("pattoo:agent/agent", OURS, Reach::Nothing, "reads its name, its interval and its settings"),
    interface("pattoo:agent/datapoints", OURS, Reach::Datapoints, "emits datapoints for pattoo"),
    interface("pattoo:agent/modbus", OURS, Reach::Modbus, "reads the Modbus devices that are granted"),
    interface("pattoo:agent/http", OURS, Reach::Web, "fetches from the web origins that are granted"),
    interface("pattoo:agent/log", OURS, Reach::Log, "writes lines to the log"),
    interface("pattoo:agent/clock", OURS, Reach::Nothing, "reads the time"),
    interface("pattoo:agent/state", OURS, Reach::State, "keeps values from one collection to the next"),
    interface("wasi:http/outgoing-handler", WASI, Reach::Web, "fetches from the web origins that are granted"),
    interface("wasi:http/types", WASI, Reach::Nothing, "the requests and responses of the web"),
    interface("wasi:cli/environment", WASI, Reach::Nothing, "reads the environment and the arguments: there are none"),
    interface("wasi:cli/exit", WASI, Reach::Nothing, "ends the collection"),
    interface("wasi:cli/stdin", WASI, Reach::Nothing, "reads standard input: it is empty"),
    interface("wasi:cli/stdout", WASI, Reach::Log, "writes to standard output: lines of the log"),
    interface("wasi:cli/stderr", WASI, Reach::Log, "writes to standard error: lines of the log"),
    interface("wasi:cli/terminal-input", WASI, Reach::Nothing, "asks for a terminal: there is none"),
    interface("wasi:cli/terminal-output", WASI, Reach::Nothing, "asks for a terminal: there is none"),
    interface("wasi:cli/terminal-stdin", WASI, Reach::Nothing, "asks for a terminal: there is none"),
    interface("wasi:cli/terminal-stdout", WASI, Reach::Nothing, "asks for a terminal: there is none"),
    interface("wasi:cli/terminal-stderr", WASI, Reach::Nothing, "asks for a terminal: there is none"),
    interface("wasi:clocks/monotonic-clock", WASI, Reach::Nothing, "measures time, and waits"),
    interface("wasi:clocks/wall-clock", WASI, Reach::Nothing, "reads the time"),
    interface("wasi:filesystem/preopens", WASI, Reach::Nothing, "asks which folders are open: none is"),
    interface("wasi:filesystem/types", WASI, Reach::Nothing, "works on open files: none is"),
    interface("wasi:io/error", WASI, Reach::Nothing, "the errors of the others"),
    interface("wasi:io/poll", WASI, Reach::Nothing, "waits"),
    interface("wasi:io/streams", WASI, Reach::Nothing, "reads and writes what the others open"),
    interface("wasi:random/random", WASI, Reach::Nothing, "draws random bytes"),
    interface("wasi:random/insecure", WASI, Reach::Nothing, "draws random bytes"),
    interface("wasi:random/insecure-seed", WASI, Reach::Nothing, "draws a random number"),
    interface("wasi:sockets/instance-network", WASI, Reach::Nothing, "asks for a network: every use of it is refused"),
    interface("wasi:sockets/ip-name-lookup", WASI, Reach::Nothing, "looks up names: refused"),
    interface("wasi:sockets/network", WASI, Reach::Nothing, "the errors of the other sockets"),
    interface("wasi:sockets/tcp", WASI, Reach::Nothing, "uses TCP sockets: refused"),
    interface("wasi:sockets/tcp-create-socket", WASI, Reach::Nothing, "makes TCP sockets: refused"),
    interface("wasi:sockets/udp", WASI, Reach::Nothing, "uses UDP sockets: refused"),
    interface("wasi:sockets/udp-create-socket", WASI, Reach::Nothing, "makes UDP sockets: refused"),
];

impl Interface {
    /// The interface that an import names, if it is served in that version: of ours this very one, of WASI any 0.2.
    pub fn of(import: &str) -> Option<&'static Self> {
        let (name, version) = import.split_once('@')?;
        let served = INTERFACES.iter().find(|interface| interface.name == name)?;
        let fits = version.strip_prefix(served.version).is_some_and(|rest| match served.version {
            // The patch version, and nothing that says it is not released.
            WASI => rest.strip_prefix('.').is_some_and(|patch| patch.parse::<u32>().is_ok()),
            _ => rest.is_empty(),
        });
        fits.then_some(served)
    }

    /// Whether an import is part of WASI.
    pub fn is_of_wasi(import: &str) -> bool {
        import.starts_with("wasi:")
    }
}

/// The interfaces of our own contract, by their full names.
pub fn our_interfaces() -> impl Iterator<Item = String> {
    let ours = INTERFACES.iter().filter(|interface| interface.version == OURS);
    ours.map(|interface| format!("{}@{OURS}", interface.name))
}

#[cfg(test)]
mod tests {
    use super::{Interface, Reach};

    #[test]
    fn only_the_version_that_is_served_is_served() {
        for (import, served) in [
            ("pattoo:agent/http@0.1.0", true),
            ("pattoo:agent/http@0.1.1", false),
            ("pattoo:agent/http@0.2.0", false),
            ("pattoo:agent/http", false),
            ("wasi:io/poll@0.2.0", true),
            ("wasi:io/poll@0.2.12", true),
            ("wasi:io/poll@0.2.0-rc-2023-12-05", false),
            ("wasi:io/poll@0.3.0", false),
            ("wasi:io/poll@0.20.0", false),
            ("wasi:io/poll@0.2", false),
            ("wasi:io/polls@0.2.0", false),
            ("wasi:http/incoming-handler@0.2.0", false),
            ("wasi:keyvalue/store@0.2.0", false),
        ] {
            assert_eq!(Interface::of(import).is_some(), served, "{import}");
        }
        assert_eq!(Interface::of("wasi:http/outgoing-handler@0.2.3").map(|found| found.reach), Some(Reach::Web));
    }
}
