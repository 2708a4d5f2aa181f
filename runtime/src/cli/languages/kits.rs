//! The kits, the contract and the templates, as they were when this program was built (`build.rs`).

use super::Files;

include!(concat!(env!("OUT_DIR"), "/kits.rs"));
