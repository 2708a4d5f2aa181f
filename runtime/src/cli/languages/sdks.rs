//! The SDKs, the contract and the templates, as they were when this binary was built (`build.rs`).

use super::Files;

include!(concat!(env!("OUT_DIR"), "/sdks.rs"));
