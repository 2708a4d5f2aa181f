//! The settings for posting in the configuration, if there is one: so that a command treats the
//! spool as the daemon does, and sends the same token.

use std::path::Path;

use pattoo_output::{Folders, OutputSettings as _, ServerUrl, output_sections, pattoo, url_of};
use pattoo_settings::{ConfigError, Fields, Reported, read, yaml::Node};
use pattoo_spool::SpoolLimits;

use super::{
    ConfigDirectory, forms,
    source::{FILE, Source},
    spool_section::SPOOL,
};

/// The settings for posting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// The settings of the server, if it is configured.
    pub server: Option<pattoo::Settings>,
    /// The limits of the spool.
    pub spool: SpoolLimits,
}

impl Posting {
    /// The settings in `pattoo_wasm.yaml` of a directory for posts to `server`, or the defaults if
    /// there is no such file. Those of the server, with its token, are read only if they are
    /// requested and it is configured. Blocks while it reads.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the file, except for values of collectors.
    pub fn find(directory: &ConfigDirectory, server: &ServerUrl, with_token: bool) -> Result<Self, ConfigError> {
        let source = match Source::read_trusted(&directory.path().join(FILE)) {
            Ok(source) => source,
            Err(error) if error.is_missing() => return Ok(Self { server: None, spool: SpoolLimits::default() }),
            Err(error) => return Err(error.into_problem().into()),
        };
        let posting = read(&source.file, &source.document, &forms::pattoo_wasm_yaml(), |fields| {
            let (form, node) = (forms::pattoo_wasm(), fields.node("pattoo_wasm").ok_or(Reported)?);
            let fields = fields.of(&form, node);
            let mut spool = SpoolLimits::default();
            if let Some(node) = fields.node("spool") {
                fields.of(&forms::spool(), node).quantities(SPOOL, &mut spool)?;
            }
            let server = if with_token { settings(fields, node, server, &source)? } else { None };
            Ok(Self { server, spool })
        });
        Ok(posting?)
    }
}

/// The settings of `server`, if it is configured below `ours`.
fn settings(
    fields: Fields<'_>,
    ours: &Node,
    server: &ServerUrl,
    source: &Source,
) -> Result<Option<pattoo::Settings>, Reported> {
    let folders = Folders { configuration: source.folder(), data: Path::new("") };
    let form = pattoo::form();
    let configured = output_sections(ours).find(|output| url_of(output).as_ref() == Some(server));
    configured.map(|node| pattoo::Settings::read(fields.of(&form, node), folders)).transpose()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pattoo_spool::SpoolLimits;

    use super::{ConfigDirectory, Posting};

    #[test]
    fn token_is_read_only_for_the_configured_server_and_only_if_requested() {
        let folder = tempfile::tempdir().unwrap();
        let directory = ConfigDirectory::at(folder.path());
        let (server, other) = ("http://192.0.2.5:20201/".parse().unwrap(), "http://192.0.2.6:20201".parse().unwrap());
        let usual = Posting { server: None, spool: SpoolLimits { bytes: 1 << 30, age: Duration::from_hours(30 * 24) } };
        assert_eq!(Posting::find(&directory, &server, true).unwrap(), usual);
        let text = "pattoo_wasm: { server: { url: 'http://192.0.2.5:20201', token: { secret_file: token } },
            spool: { size: 5 GiB }, collectors: [{ program: A, module: a.wasm }] }";
        std::fs::write(folder.path().join("pattoo_wasm.yaml"), text).unwrap();
        let larger = Posting { spool: SpoolLimits { bytes: 5 << 30, ..usual.spool }, ..usual };
        // The token's file is not there yet.
        assert_eq!(Posting::find(&directory, &other, true).unwrap(), larger);
        assert_eq!(Posting::find(&directory, &server, false).unwrap(), larger);
        let error = Posting::find(&directory, &server, true).unwrap_err();
        assert!(error.to_string().contains("pattoo_wasm.yaml:1:"), "{error}");
        std::fs::write(folder.path().join("token"), "s3cret\n").unwrap();
        assert!(Posting::find(&directory, &server, true).unwrap().server.is_some_and(|server| server.token.is_some()));
    }
}
