//! Collectors that only send requests, so that a measurement shows the cost of the runtime. Each
//! traps if a result is an error.

use std::fmt::Write as _;

/// Spans of each of the four tables that a reader reads.
pub const SPANS_OF_A_TABLE: usize = 250;
/// The number of tables in the contract.
const TABLES: usize = 4;
/// The address of the list of arguments.
const LIST: usize = 4096;
/// The size of a `span` and of its result; of a `request` and of its result (see
/// `docs/guests/abi.md`).
const SPAN: usize = 16;
const WORDS: usize = 16;
const REQUEST: usize = 44;
const RESPONSE: usize = 32;

/// A core module that reads the first 250 addresses of each table of the device `plc1`, a span
/// each, in `calls` equal calls of `read-many`.
///
/// # Panics
///
/// When the spans cannot be divided into `calls` equal parts.
pub fn reader(calls: usize) -> String {
    let mut list = Vec::new();
    for number in 0..TABLES.wrapping_mul(SPANS_OF_A_TABLE) {
        let of = |number: usize| u16::try_from(number).expect("few spans").to_le_bytes();
        let table = number.checked_div(SPANS_OF_A_TABLE).unwrap_or(0).to_le_bytes()[0];
        let address = of(number.checked_rem(SPANS_OF_A_TABLE).unwrap_or(0));
        // The device's name lies at 16; no unit.
        list.extend([16, 0, 0, 0, 4, 0, 0, 0, 0, 0, table, 0, address[0], address[1], 1, 0]);
    }
    asker("plc1", "pattoo:agent/modbus@0.1.0", "read-many", &list, SPAN, WORDS, calls)
}

/// A core module that fetches this URL `fetches` times, in `calls` equal calls of `fetch-all`.
///
/// # Panics
///
/// When the fetches cannot be divided into `calls` equal parts.
pub fn fetcher(url: &str, fetches: usize, calls: usize) -> String {
    let length = u8::try_from(url.len()).expect("a short URL");
    // The method and the URL lie at 16; no fields, no body, no time limit.
    let mut request = vec![16, 0, 0, 0, 3, 0, 0, 0, 19, 0, 0, 0, length];
    request.resize(REQUEST, 0);
    asker(
        &format!("GET{url}"),
        "pattoo:agent/http@0.1.0",
        "fetch-all",
        &request.repeat(fetches),
        REQUEST,
        RESPONSE,
        calls,
    )
}

/// A module that passes `list`, of items of this size, to the function in `calls` calls; `texts` is
/// stored at 16.
fn asker(texts: &str, module: &str, function: &str, list: &[u8], item: usize, result: usize, calls: usize) -> String {
    let items = list.len().checked_div(item).expect("a size");
    assert!(items.is_multiple_of(calls), "equal calls");
    let each = items.checked_div(calls).expect("at least one call");
    let stride = each.wrapping_mul(item);
    let heap = LIST.wrapping_add(list.len()).next_multiple_of(16);
    let escaped = list.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "\\{byte:02x}");
        text
    });
    format!(
        r#"(module
          (import "{module}" "{function}" (func $ask (param i32 i32 i32)))
          (memory (export "memory") 16)
          (global $heap (mut i32) (i32.const {heap}))
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            global.get $heap
            (global.set $heap (i32.and (i32.add (i32.add (global.get $heap) (local.get 3)) (i32.const 15)) (i32.const -16))))
          (func (export "collect") (result i32)
            (local $call i32) (local $left i32) (local $result i32)
            (loop $next
              (call $ask (i32.add (i32.const {LIST}) (i32.mul (local.get $call) (i32.const {stride})))
                (i32.const {each}) (i32.const 1024))
              (if (i32.ne (i32.load (i32.const 1028)) (i32.const {each})) (then unreachable))
              (local.set $left (i32.const {each}))
              (local.set $result (i32.load (i32.const 1024)))
              (loop $check
                ;; Not 0 is an error.
                (if (i32.load8_u (local.get $result)) (then unreachable))
                (local.set $result (i32.add (local.get $result) (i32.const {result})))
                (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                (br_if $check (local.get $left)))
              (local.set $call (i32.add (local.get $call) (i32.const 1)))
              (br_if $next (i32.lt_u (local.get $call) (i32.const {calls}))))
            i32.const 2048)
          (data (i32.const 16) "{texts}")
          (data (i32.const {LIST}) "{escaped}"))"#
    )
}
