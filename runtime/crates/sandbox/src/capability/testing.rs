//! Real guests for the tests of capabilities whose interface is not part of our contract.

use std::{path::Path, sync::Arc};

use pattoo_measurement::{Agent, PollingInterval};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, UnresolvedPackageGroup};

use super::{Assignment, AssignmentBuilder};
use crate::{Compiler, Module, Outcome, Sandbox};

/// A component made of a core module in the text format, which imports `interface` out of a folder
/// of WIT below `wit/`.
pub(super) fn component(folder: &str, interface: &str, core: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("wit").join(folder);
    resolve.push_dir(&wit).unwrap();
    let world = format!(
        "package test:guest; world guest {{ import {interface}; export collect: func() -> result<_, string>; }}"
    );
    let package = resolve.push_group(UnresolvedPackageGroup::parse("guest.wit", &world).unwrap()).unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    let mut module = wat::parse_str(core).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}

/// An assignment of a program `TEST` that grants nothing.
pub(super) fn builder() -> AssignmentBuilder {
    Assignment::builder(Arc::new(Agent {
        program: "TEST".parse().unwrap(),
        id: "ab".repeat(32).parse().unwrap(),
        hostname: "gateway-7".parse().unwrap(),
        polling_interval: PollingInterval::from_seconds(20).unwrap(),
    }))
}

/// One collection of a component.
pub(super) async fn collect(component: Vec<u8>, assignment: AssignmentBuilder) -> Outcome {
    let sandbox = Sandbox::new(1, Compiler::unbounded(), None).unwrap();
    let collector = sandbox.load(&Module::from_bytes(Path::new("guest.wasm"), component).unwrap()).unwrap();
    sandbox.collect(&collector, Arc::new(assignment.build().unwrap())).await
}
