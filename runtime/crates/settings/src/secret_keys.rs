//! Secrets, which a file names by an environment variable or another file.

use std::path::Path;

use pattoo_base::secret::Secret;

use crate::{Fields, Form, Key, Kind, Reported};

/// The form of a secret.
pub fn form() -> Form {
    Form::new(
        "a secret",
        vec![
            Key::new("secret", Kind::Text, "the environment variable with the secret", "SITE_A_TOKEN"),
            Key::new(
                "secret_file",
                Kind::Path,
                "the file with the secret; a path is relative to the file that names it",
                "secrets/site_a",
            ),
        ],
    )
    .one_of()
}

/// Reads a secret; its file is relative to `folder`.
///
/// # Errors
///
/// When it is not there, which is reported then.
pub fn read(fields: Fields<'_>, folder: &Path) -> Result<Secret, Reported> {
    if let Some(node) = fields.node("secret") {
        let variable = node.text().ok_or(Reported)?;
        return Secret::from_env(variable).map_err(|error| {
            let help = format!(
                "set {variable} in the environment of this command and of the daemon, or write `secret_file: PATH`"
            );
            fields.wrong_with(node, error, help)
        });
    }
    let node = fields.node("secret_file").ok_or(Reported)?;
    let path = folder.join(node.text().ok_or(Reported)?);
    Secret::from_file(&path).map_err(|error| {
        let help = error.help().unwrap_or_else(|| {
            "write only the secret into that file, and make the file readable for the user that runs this command"
                .to_owned()
        });
        fields.wrong_with(node, error, help)
    })
}
