//! `--http ORIGIN`, which grants a web origin.

use pattoo_fetch::{OriginError, OriginGrant};

use crate::capability::{GrantFlag, GrantFlagError};

/// The flag.
pub(super) static FLAG: GrantFlag = GrantFlag {
    value_name: "ORIGIN",
    help: "Grant a web origin: scheme, host and port; GET and HEAD, every path (repeatable)",
    grant: |text, grants| {
        let origin = text.parse().map_err(|error: OriginError| GrantFlagError::Invalid(error.to_string()))?;
        grants.http.push(OriginGrant::new(origin));
        Ok(())
    },
};
