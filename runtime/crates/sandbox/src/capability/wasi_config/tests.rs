//! Settings over `wasi:config/store`, by real guests.

use crate::{
    StopReason, Termination,
    capability::{
        CollectionLimits,
        testing::{builder, collect, component},
    },
};

const INTERFACE: &str = "wasi:config/store@0.2.0-rc.1";

/// A guest that fails with the text of the setting `key`, or with `none`.
const ASKS_FOR_ONE: &str = r#"(module
  (import "wasi:config/store@0.2.0-rc.1" "get" (func $get (param i32 i32 i32)))
  (memory (export "memory") 17)
  (global $free (mut i32) (i32.const 4096))
  (data (i32.const 0) "key") (data (i32.const 8) "none")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    global.get $free
    (global.set $free (i32.add (global.get $free) (local.get 3))))
  (func (export "collect") (result i32)
    (call $get (i32.const 0) (i32.const 3) (i32.const 16))
    (i32.store8 (i32.const 64) (i32.const 1))
    (i32.store (i32.const 68) (i32.load (i32.const 24)))
    (i32.store (i32.const 72) (i32.load (i32.const 28)))
    (if (i32.and (i32.eqz (i32.load8_u (i32.const 16))) (i32.eqz (i32.load8_u (i32.const 20))))
      (then (i32.store (i32.const 68) (i32.const 8)) (i32.store (i32.const 72) (i32.const 4))))
    i32.const 64))"#;

/// A guest that asks for all of them, 1 000 times, and always has room.
const ASKS_FOR_ALL: &str = r#"(module
  (import "wasi:config/store@0.2.0-rc.1" "get-all" (func $get-all (param i32)))
  (memory (export "memory") 64)
  (global $free (mut i32) (i32.const 4096))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    global.get $free
    (global.set $free (i32.and (i32.const -8) (i32.add (i32.const 7) (i32.add (global.get $free) (local.get 3))))))
  (func (export "collect") (result i32) (local $turn i32)
    (loop $again
      (global.set $free (i32.const 4096))
      (call $get-all (i32.const 16))
      (br_if $again (i32.lt_u (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 1000))))
    i32.const 0))"#;

async fn said(settings: &str) -> String {
    let component = component("config", INTERFACE, ASKS_FOR_ONE);
    match collect(component, builder().settings(settings.to_owned())).await.ending {
        Termination::Failed(text) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn setting_is_its_text_or_its_json() {
    assert_eq!(said(r#"{"other": 1, "key": "plain \"text\""}"#).await, r#"plain "text""#);
    assert_eq!(said(r#"{"key": {"a": [1, 2.50]}}"#).await, r#"{"a": [1, 2.50]}"#);
    assert_eq!(said("{}").await, "none");
    assert_eq!(said("[]").await, "the settings are not a JSON object");
}

#[tokio::test]
async fn settings_are_charged_once_and_what_is_handed_over_again_in_each_call() {
    let large = format!(r#"{{"key": "{}"}}"#, "x".repeat(1 << 20));
    let all = component("config", INTERFACE, ASKS_FOR_ALL);
    let outcome = collect(all.clone(), builder().settings(large.clone())).await;
    assert!(matches!(outcome.ending, Termination::Completed), "{:?}", outcome.ending);
    // Taken apart, and what the last call returned.
    assert!((2 << 20..3 << 20).contains(&outcome.host_memory.peak), "{:?}", outcome.host_memory);

    // One copy has room, two have not.
    let limits = CollectionLimits { host_memory: 3 << 19, resources: 16, ..CollectionLimits::default() };
    let outcome = collect(all, builder().settings(large).limits(limits)).await;
    match outcome.ending {
        Termination::Stopped(StopReason::Limit(limit)) => assert_eq!(limit.setting, "host_memory"),
        other => panic!("{other:?}"),
    }
    assert!(outcome.host_memory.peak <= 3 << 19, "{:?}", outcome.host_memory);
}
