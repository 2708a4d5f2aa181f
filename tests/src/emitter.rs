//! A collector that only emits, so that a measurement shows the cost of the runtime.

use std::fmt::Write as _;

/// The address of its datapoints, and the size of one (see `docs/guests/abi.md`).
const POINTS: usize = 1024;
const POINT: usize = 48;

/// A core module that emits `points` integers of the target `plc1` in `calls` equal calls.
///
/// # Panics
///
/// When the datapoints cannot be divided into equal calls, or do not fit into the memory of a
/// module.
pub fn emitter(points: usize, calls: usize, first_key: usize) -> String {
    assert!(points.is_multiple_of(calls), "equal calls");
    let each = points.checked_div(calls).expect("at least one call");
    let strings = POINTS.checked_add(points.checked_mul(POINT).expect("few points")).expect("few points");
    let (mut records, mut keys) = (Vec::new(), Vec::new());
    let word = |number: usize| u32::try_from(number).expect("an address").to_le_bytes();
    for number in 0..points {
        let key = format!("holding_register_{}", number.wrapping_add(first_key));
        records.extend(word(strings.wrapping_add(keys.len())));
        records.extend(word(key.len()));
        // `integer`, no timestamp, no metadata.
        records.extend([0; 8]);
        records.extend((number as u64).wrapping_mul(7919).checked_rem(65536).unwrap_or(0).to_le_bytes());
        records.extend([0; POINT - 24]);
        keys.extend_from_slice(key.as_bytes());
    }
    let end = strings.wrapping_add(keys.len());
    let pages = end.div_ceil(65536).wrapping_add(4);
    let heap = end.next_multiple_of(16);
    let escaped = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "\\{byte:02x}");
            text
        })
    };
    let stride = each.wrapping_mul(POINT);
    let (records, keys) = (escaped(&records), escaped(&keys));
    format!(
        r#"(module
          (import "pattoo:agent/datapoints@0.1.0" "emit" (func $emit (param i32 i32 i32 i32 i32)))
          (memory (export "memory") {pages})
          (global $heap (mut i32) (i32.const {heap}))
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            global.get $heap
            (global.set $heap (i32.and (i32.add (i32.add (global.get $heap) (local.get 3)) (i32.const 15)) (i32.const -16))))
          (func (export "collect") (result i32)
            (local $call i32)
            (loop $next
              (call $emit (i32.const 16) (i32.const 4)
                (i32.add (i32.const {POINTS}) (i32.mul (local.get $call) (i32.const {stride})))
                (i32.const {each}) (i32.const 64))
              (local.set $call (i32.add (local.get $call) (i32.const 1)))
              (br_if $next (i32.lt_u (local.get $call) (i32.const {calls}))))
            i32.const 128)
          (data (i32.const 16) "plc1")
          (data (i32.const {POINTS}) "{records}")
          (data (i32.const {strings}) "{keys}"))"#
    )
}
