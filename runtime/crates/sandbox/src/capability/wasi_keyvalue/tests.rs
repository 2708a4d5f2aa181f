//! Values over `wasi:keyvalue`, by real guests.

use crate::{
    Outcome, StopReason, Termination,
    capability::{
        CollectionLimits, state,
        testing::{builder, collect, component},
    },
    state_store::StateStore,
};

/// What all guests here begin with: memory, an allocator, the functions, and a bucket that is open.
const BEGINNING: &str = r#"
  (import "wasi:keyvalue/store@0.2.0-draft" "open" (func $open (param i32 i32 i32)))
  (import "wasi:keyvalue/store@0.2.0-draft" "[method]bucket.get" (func $get (param i32 i32 i32 i32)))
  (import "wasi:keyvalue/store@0.2.0-draft" "[method]bucket.set" (func $set (param i32 i32 i32 i32 i32 i32)))
  (import "wasi:keyvalue/atomics@0.2.0-draft" "increment" (func $increment (param i32 i32 i32 i64 i32)))
  (import "wasi:keyvalue/batch@0.2.0-draft" "get-many" (func $get-many (param i32 i32 i32 i32)))
  (memory (export "memory") 128)
  (global $free (mut i32) (i32.const 4194304))
  (global $bucket (mut i32) (i32.const 0))
  (data (i32.const 0) "key") (data (i32.const 8) "default") (data (i32.const 16) "nowhere")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    global.get $free
    (global.set $free (i32.and (i32.const -8) (i32.add (i32.const 7) (i32.add (global.get $free) (local.get 3))))))
  (func $fails (param i32 i32) (result i32)
    (i32.store8 (i32.const 64) (i32.const 1))
    (i32.store (i32.const 68) (local.get 0)) (i32.store (i32.const 72) (local.get 1))
    i32.const 64)
  (func $opened
    (call $open (i32.const 8) (i32.const 7) (i32.const 128))
    (if (i32.load8_u (i32.const 128)) (then unreachable))
    (global.set $bucket (i32.load (i32.const 132))))"#;

const WORLD: &str =
    "wasi:keyvalue/store@0.2.0-draft; import wasi:keyvalue/atomics@0.2.0-draft; import wasi:keyvalue/batch@0.2.0-draft";

fn guest(code: &str) -> Vec<u8> {
    component("keyvalue", WORLD, &format!("(module {BEGINNING} (func (export \"collect\") (result i32) {code}))"))
}

/// Adds 5 to the number `key`; fails with the error, if there is one.
fn counts() -> Vec<u8> {
    guest(
        "(call $opened)
         (call $increment (global.get $bucket) (i32.const 0) (i32.const 3) (i64.const 5) (i32.const 128))
         (if (i32.load8_u (i32.const 128)) (then (return (call $fails (i32.load (i32.const 140)) (i32.load (i32.const 144))))))
         i32.const 256",
    )
}

/// Fails with the value of `key`.
fn says() -> Vec<u8> {
    guest(
        "(call $opened)
         (call $get (global.get $bucket) (i32.const 0) (i32.const 3) (i32.const 128))
         (if (i32.or (i32.load8_u (i32.const 128)) (i32.eqz (i32.load8_u (i32.const 132)))) (then unreachable))
         (call $fails (i32.load (i32.const 136)) (i32.load (i32.const 140)))",
    )
}

async fn kept(outcome: Outcome) {
    assert!(matches!(outcome.ending, Termination::Completed), "{:?}", outcome.ending);
    outcome.state.unwrap().keep().await.unwrap();
}

fn ended_at(outcome: &Outcome) -> &'static str {
    match &outcome.ending {
        Termination::Stopped(StopReason::Limit(limit)) => limit.setting,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn number_is_counted_over_collections_in_the_state_of_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::at(&folder.path().join("state.sqlite3"));
    for _ in 0..3 {
        kept(collect(counts(), builder().state(store.clone())).await).await;
    }
    let outcome = collect(says(), builder().state(store.clone())).await;
    assert!(matches!(&outcome.ending, Termination::Failed(text) if text == "15"), "{:?}", outcome.ending);
    let values = store.load(&"TEST".parse().unwrap()).await.unwrap();
    assert_eq!(values.into_iter().collect::<Vec<_>>(), [("key".to_owned(), b"15".to_vec())]);
}

#[tokio::test]
async fn there_is_one_bucket_and_no_other() {
    let opens = guest(
        "(call $open (i32.const 16) (i32.const 7) (i32.const 128))
         (if (i32.eqz (i32.load8_u (i32.const 128))) (then unreachable))
         (if (i32.load8_u (i32.const 132)) (then unreachable))
         (call $open (i32.const 0) (i32.const 0) (i32.const 128))
         (if (i32.load8_u (i32.const 128)) (then unreachable))
         i32.const 256",
    );
    let outcome = collect(opens, builder()).await;
    assert!(matches!(outcome.ending, Termination::Completed), "{:?}", outcome.ending);
}

#[tokio::test]
async fn value_beyond_the_limit_is_an_error_that_names_it() {
    let sets = guest(
        "(call $opened)
         (call $set (global.get $bucket) (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 1048576) (i32.const 128))
         (if (i32.eqz (i32.load8_u (i32.const 128))) (then unreachable))
         (call $fails (i32.load (i32.const 136)) (i32.load (i32.const 140)))",
    );
    let outcome = collect(sets, builder()).await;
    assert!(
        matches!(&outcome.ending, Termination::Failed(text) if text.contains("(limit state_bytes)")),
        "{:?}",
        outcome.ending
    );
}

#[tokio::test]
async fn many_copies_of_one_value_end_the_collection_before_they_are_made() {
    // One value of a megabyte, asked for 100 000 times in one call.
    let asks = guest(
        "(local $at i32)
         (call $opened)
         (call $set (global.get $bucket) (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 1048576) (i32.const 128))
         (if (i32.load8_u (i32.const 128)) (then unreachable))
         (local.set $at (i32.const 1048576))
         (loop $again
           (i32.store (local.get $at) (i32.const 0))
           (i32.store (i32.add (local.get $at) (i32.const 4)) (i32.const 3))
           (br_if $again (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 1848576))))
         (call $get-many (global.get $bucket) (i32.const 1048576) (i32.const 100000) (i32.const 128))
         i32.const 256",
    );
    let limits = CollectionLimits {
        state: state::StateLimits { bytes: 4 << 20 },
        host_memory: 32 << 20,
        ..CollectionLimits::default()
    };
    let outcome = collect(asks, builder().limits(limits)).await;
    assert_eq!(ended_at(&outcome), "host_memory");
    assert!(outcome.host_memory.peak <= 32 << 20, "{:?}", outcome.host_memory);
}

#[tokio::test]
async fn buckets_are_handles_and_no_more_of_them_are_opened_than_there_may_be() {
    let opens = guest("(loop $again (call $opened) (br $again)) i32.const 256");
    let outcome = collect(opens, builder()).await;
    assert_eq!(ended_at(&outcome), "resources");
}
