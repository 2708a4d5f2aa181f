//! A collection leaves no data for the next one, although the pool gives both the same memory.

use pattoo_tests::{Collecting, long_assignment_without_grants};

/// A guest that has a memory of so many pages, and emits if anything is in it, or in its table,
/// that it did not put there. It puts something in every `step` bytes and in all of the table:
/// before it looks, or after.
fn scribbler(pages: usize, step: usize, first: &str, then: &str) -> String {
    let end = pages * 65536;
    format!(
        r#"(module
          (import "pattoo:agent/datapoints@0.1.0" "emit" (func $emit (param i32 i32 i32 i32 i32)))
          (memory (export "memory") {pages})
          (table $table 100 funcref)
          (elem declare func $look)
          (global $heap (mut i32) (i32.const 512))
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            global.get $heap
            (global.set $heap (i32.and (i32.add (i32.add (global.get $heap) (local.get 3)) (i32.const 15)) (i32.const -16))))
          (func $found (call $emit (i32.const 16) (i32.const 1) (i32.const 256) (i32.const 1) (i32.const 64)))
          (func $look (local $at i32)
            (loop $entry
              (if (i32.eqz (ref.is_null (table.get $table (local.get $at)))) (then (call $found) return))
              (local.set $at (i32.add (local.get $at) (i32.const 1)))
              (br_if $entry (i32.lt_u (local.get $at) (i32.const 100))))
            (local.set $at (i32.const 1024))
            (loop $word
              (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then (call $found) return))
              (local.set $at (i32.add (local.get $at) (i32.const 8)))
              (br_if $word (i32.lt_u (local.get $at) (i32.const {end})))))
          (func $scribble (local $at i32)
            (table.fill $table (i32.const 0) (ref.func $look) (i32.const 100))
            (local.set $at (i32.const 1024))
            (loop $word
              (i64.store (local.get $at) (i64.const -1))
              (local.set $at (i32.add (local.get $at) (i32.const {step})))
              (br_if $word (i32.lt_u (local.get $at) (i32.const {end})))))
          (func (export "collect") (result i32) (call ${first}) (call ${then}) i32.const 128)
          (data (i32.const 16) "t")
          (data (i32.const 256) "\40\01\00\00\01")
          (data (i32.const 320) "k"))"#
    )
}

#[test]
fn memory_and_tables_of_a_collection_are_never_visible_to_the_next() {
    let (collecting, nothing) = (Collecting::new(), long_assignment_without_grants());
    // Within what the pool keeps of a memory, and beyond it; few pages written, and all.
    let shapes = [(1, 8), (1, 4096), (2, 8), (30, 4096), (30, 65536), (30, 8)];
    let collectors = shapes.map(|(pages, step)| collecting.load(&scribbler(pages, step, "look", "scribble")));
    for round in 0..3 {
        for (collector, shape) in collectors.iter().zip(shapes).chain(collectors.iter().zip(shapes).rev()) {
            assert!(collecting.collect(collector, &nothing).is_none(), "{shape:?} in round {round}");
        }
    }
    // This shows that the guest does find data where there is some.
    let own = collecting.load(&scribbler(30, 65536, "scribble", "look"));
    assert!(collecting.collect(&own, &nothing).is_some());
}
