//! Parts of a configuration that commands need even if the rest of it is invalid: the endpoints that
//! no collector may reach, the outputs, and the files of modules.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use pattoo_output::{NamedOutput, OutputName, output_sections, url_of};
use pattoo_settings::{Place, yaml::Node};
use pattoo_spool::OutputId;
use url::Url;

use super::{
    collectors::CollectorFiles,
    directories::ConfigDirectory,
    pattoo_files::PattooFiles,
    source::{DEFAULT_STATUS, FILE, Source},
};

/// Our own endpoints in a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnAddresses {
    /// Outputs.
    pub outputs: Vec<Url>,
    /// The status address of the daemon.
    pub status: Option<SocketAddr>,
}

/// Finds them. A configuration that cannot be read has none: the command that needs it reports it.
/// Blocks while it reads.
pub fn own_addresses(directory: &ConfigDirectory) -> OwnAddresses {
    let mut own = OwnAddresses {
        outputs: installed(directory).iter().filter_map(|output| output.output.settings().url().cloned()).collect(),
        status: None,
    };
    let Ok(source) = Source::read(&directory.path().join(FILE)) else { return own };
    let ours = source.document.root.entry("pattoo_wasm");
    own.outputs.extend(ours.into_iter().flat_map(|ours| output_sections(&ours.node)).filter_map(url_of::<Url>));
    own.status = match ours.and_then(|ours| ours.node.entry("status")?.node.text()) {
        Some("none") => None,
        Some(address) => address.parse().ok(),
        None => Some(DEFAULT_STATUS),
    };
    own
}

/// The output that pattoo's own files configure.
fn installed(directory: &ConfigDirectory) -> Option<NamedOutput> {
    PattooFiles::read(directory).ok()?.output()
}

/// What names the queues of an output in the spool. Blocks while it reads.
pub fn queues_of(directory: &ConfigDirectory, name: &OutputName) -> OutputId {
    let source = Source::read(&directory.path().join(FILE)).ok();
    let ours = source.as_ref().and_then(|source| source.document.root.entry("pattoo_wasm"));
    pattoo_output::queues_of(ours.map(|ours| &ours.node), name, || installed(directory))
}

/// The names of the configured outputs. Blocks while it reads.
pub fn output_names(directory: &ConfigDirectory) -> Vec<String> {
    let source = Source::read(&directory.path().join(FILE)).ok();
    let ours = source.as_ref().and_then(|source| source.document.root.entry("pattoo_wasm"));
    pattoo_output::output_names(ours.map(|ours| &ours.node), || installed(directory))
}

/// The module of each collector, with its place in its file; none of a file that cannot be read.
/// Blocks while it reads.
pub fn modules(directory: &ConfigDirectory) -> Vec<(PathBuf, Place)> {
    let main = Source::read(&directory.path().join(FILE)).ok().map(Arc::new);
    let sources = main.into_iter().chain(CollectorFiles::read(directory).sources);
    let of_file = |source: Arc<Source>| -> Vec<_> {
        let module = |collector: &Node| {
            let node = &collector.entry("module")?.node;
            Some((source.folder().join(node.text()?), source.place_of(&node.span)))
        };
        source.collectors().iter().filter_map(module).collect()
    };
    sources.flat_map(of_file).collect()
}

#[cfg(test)]
mod tests {
    use super::{ConfigDirectory, OwnAddresses, own_addresses, queues_of};

    #[test]
    fn servers_and_status_address_are_found_without_a_valid_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let directory = ConfigDirectory::at(folder.path());
        assert_eq!(own_addresses(&directory), OwnAddresses::default());
        std::fs::write(
            folder.path().join("pattoo.yaml"),
            "main: { daemon_directory: d }\npolling: { ip_address: 192.0.2.5 }\n",
        )
        .unwrap();
        let ours = |text: &str| std::fs::write(folder.path().join("pattoo_wasm.yaml"), text).unwrap();
        ours("pattoo_wasm: { server: { url: 'http://192.0.2.6:80', token: { secret: UNSET } }, collectors: 7 }\n");
        let found = own_addresses(&directory);
        assert_eq!(found.outputs.len(), 2, "{:?}", found.outputs);
        assert_eq!(found.status, Some("127.0.0.1:20203".parse().unwrap()));
        ours("pattoo_wasm: { status: '0.0.0.0:9' }\n");
        assert_eq!(own_addresses(&directory).status, Some("0.0.0.0:9".parse().unwrap()));
        ours("pattoo_wasm: { status: none }\n");
        assert_eq!(own_addresses(&directory).status, None);
    }

    #[test]
    fn queues_of_a_server_have_its_url_as_their_name() {
        let folder = tempfile::tempdir().unwrap();
        let directory = ConfigDirectory::at(folder.path());
        let ours = |text: &str| std::fs::write(folder.path().join("pattoo_wasm.yaml"), text).unwrap();
        let queues = |name: &str| queues_of(&directory, &name.parse().unwrap()).to_string();
        assert_eq!(queues("pattoo"), "pattoo");
        ours("pattoo_wasm: { server: { url: 'http://192.0.2.6:80/' } }\n");
        assert_eq!(queues("pattoo"), "http://192.0.2.6");
        ours(
            "pattoo_wasm: { outputs: { one: { type: pattoo, url: 'http://192.0.2.7:1' }, two: { type: file, path: f } } }\n",
        );
        assert_eq!([queues("one"), queues("two"), queues("pattoo")], ["http://192.0.2.7:1", "two", "pattoo"]);
    }
}
