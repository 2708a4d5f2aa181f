//! Endless guests, and other work on the same thread.

use std::{path::Path, sync::Arc, time::Duration};

use pattoo_sandbox::{Compiler, Module, Sandbox};
use pattoo_tests::{SPINNING, agent, assignment_without_grants};

#[test]
fn timers_and_sockets_are_served_between_slices_of_an_endless_guest() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let sandbox = Arc::new(Sandbox::new(1, Compiler::unbounded(), None).expect("the engine starts"));
    let module = Module::from_bytes(Path::new("spinning.wat"), SPINNING.into()).expect("a module");
    let collector = sandbox.load(&module).expect("a collector");
    let spinning = {
        let mut assignment = assignment_without_grants(agent("SPINNING")).build().expect("nothing to refuse");
        assignment.limits.timeout = Duration::from_secs(4);
        let sandbox = Arc::clone(&sandbox);
        runtime.spawn(async move { sandbox.collect(&collector, Arc::new(assignment)).await })
    };
    runtime.block_on(async {
        // It yields every 10 ms, 400 times in all. Were timers looked at only now and then, as the
        // runtime does while tasks are ready, these ten would outlast it.
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    assert!(!spinning.is_finished(), "ten timers of a millisecond took longer than the guest's four seconds");
}
