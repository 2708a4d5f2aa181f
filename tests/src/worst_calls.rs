//! Every host function, called with the largest arguments that a guest can make.
//!
//! A case is a guest that makes one call again and again, each time with other bytes, and logs a
//! line between the calls. Sizes are in bytes of the guest's memory.

/// The address of the arguments.
const AT: usize = 65_536;
/// The most bytes that fit into a call.
pub const LARGEST: usize = 16_700_000;
/// A call, and how its size is written into it.
#[derive(Debug)]
pub struct Case {
    /// The function and its arguments.
    pub name: &'static str,
    /// The most instructions for each byte of its size, of a development build: unoptimised where
    /// it copies lists out of the guest's memory.
    pub bound: u64,
    /// A module of the contract with a function and its type.
    import: &'static str,
    /// The call, as text; `SIZE` is the size, `COUNT` that divided by `item`.
    call: &'static str,
    /// The size in bytes of one item that `COUNT` counts.
    pub item: usize,
    /// Code that stores the arguments.
    before: &'static str,
    /// The largest size that is tried.
    pub largest: usize,
}

const fn case(name: &'static str, import: &'static str, call: &'static str) -> Case {
    Case { name, bound: 5, import, call, item: 1, before: "", largest: LARGEST }
}

const EMIT: &str = r#""datapoints@0.1.0" "emit" (func $call (param i32 i32 i32 i32 i32))"#;
const FETCH: &str = r#""http@0.1.0" "fetch" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32))"#;
/// A datapoint at 128 with the key `k`, whose value is a text of `SIZE` bytes.
const TEXT: &str = "(i32.store (i32.const 128) (i32.const 65536)) (i32.store (i32.const 132) (i32.const 1))
    (i32.store8 (i32.const 136) (i32.const 5)) (i32.store (i32.const 144) (i32.const 65536)) (i32.store (i32.const 148) (i32.const SIZE))";
/// The same whose key is the text.
const KEY: &str = "(i32.store (i32.const 128) (i32.const 65536)) (i32.store (i32.const 132) (i32.const SIZE))";
/// The same with `COUNT` metadata, all of zeros.
const METADATA: &str = "(memory.fill (i32.const 65536) (i32.const 0) (i32.const SIZE))
    (i32.store (i32.const 128) (i32.const 65536)) (i32.store (i32.const 132) (i32.const 1))
    (i32.store (i32.const 168) (i32.const 65536)) (i32.store (i32.const 172) (i32.const COUNT))";
const ZEROS: &str = "(memory.fill (i32.const 65536) (i32.const 0) (i32.const SIZE))";

/// Every function that takes arguments, with its largest arguments.
#[expect(clippy::too_many_lines, reason = "a list")]
pub fn cases() -> Vec<Case> {
    let many = |name, import, call, item, largest| Case { item, before: ZEROS, largest, ..case(name, import, call) };
    let read = |name: &'static str, import: &'static str| {
        case(
            name,
            import,
            "(call $call (i32.const 65536) (i32.const SIZE) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 1024))",
        )
    };
    let all = vec![
        case(
            "emit-target",
            EMIT,
            "(call $call (i32.const 65536) (i32.const SIZE) (i32.const 128) (i32.const 0) (i32.const 1024))",
        ),
        Case {
            before: TEXT,
            ..case(
                "emit-text",
                EMIT,
                "(call $call (i32.const 65536) (i32.const 1) (i32.const 128) (i32.const 1) (i32.const 1024))",
            )
        },
        Case {
            before: KEY,
            ..case(
                "emit-key",
                EMIT,
                "(call $call (i32.const 65536) (i32.const 1) (i32.const 128) (i32.const 1) (i32.const 1024))",
            )
        },
        Case {
            before: METADATA,
            item: 20,
            largest: 4_000_000,
            ..case(
                "emit-metadata",
                EMIT,
                "(call $call (i32.const 65535) (i32.const 1) (i32.const 128) (i32.const 1) (i32.const 1024))",
            )
        },
        many(
            "emit-many",
            EMIT,
            "(call $call (i32.const 65535) (i32.const 1) (i32.const 65536) (i32.const COUNT) (i32.const 1024))",
            48,
            48 * 10_000,
        ),
        many(
            "emit-too-many",
            EMIT,
            "(call $call (i32.const 65535) (i32.const 1) (i32.const 65536) (i32.const COUNT) (i32.const 1024))",
            48,
            48 * 120_000,
        ),
        case(
            "fetch-method",
            FETCH,
            "(call $call (i32.const 65536) (i32.const SIZE) (i32.const 0) (i32.const 24) (i32.const 0) (i32.const 0)
              (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1024))",
        ),
        case(
            "fetch-url",
            FETCH,
            "(call $call (i32.const 24) (i32.const 3) (i32.const 65536) (i32.const SIZE) (i32.const 0) (i32.const 0)
              (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1024))",
        ),
        Case {
            // Letters of three bytes each, in a host as long as it may be.
            before: "(memory.fill (i32.const 65536) (i32.const 97) (i32.const SIZE))
              (memory.copy (i32.const 65537) (i32.const 0) (i32.const 7))
              (local.set $p (i32.const 65544))
              (loop $l (i32.store8 (local.get $p) (i32.const 0xe4))
                (i32.store8 offset=1 (local.get $p) (i32.add (i32.const 0xb8) (i32.and (i32.const 7) (local.get $p))))
                (i32.store8 offset=2 (local.get $p) (i32.or (i32.const 0x80) (i32.and (i32.const 63) (local.get $p))))
                (br_if $l (i32.lt_u (i32.add (i32.const 3) (local.tee $p (i32.add (local.get $p) (i32.const 3)))) (i32.add (i32.const 65536) (i32.const SIZE)))))",
            largest: 1_000,
            item: 20,
            ..case(
                "fetch-host",
                FETCH,
                "(call $call (i32.const 24) (i32.const 3) (i32.const 65537) (i32.sub (i32.const SIZE) (i32.const 1)) (i32.const 0) (i32.const 0)
                  (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1024))",
            )
        },
        many(
            "fetch-headers",
            FETCH,
            "(call $call (i32.const 24) (i32.const 3) (i32.const 0) (i32.const 24) (i32.const 65536) (i32.const COUNT)
              (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1024))",
            16,
            16 * 300_000,
        ),
        case(
            "fetch-body",
            FETCH,
            "(call $call (i32.const 24) (i32.const 3) (i32.const 0) (i32.const 24) (i32.const 0) (i32.const 0)
              (i32.const 1) (i32.const 65536) (i32.const SIZE) (i32.const 0) (i32.const 0) (i32.const 1024))",
        ),
        many(
            "fetch-all",
            r#""http@0.1.0" "fetch-all" (func $call (param i32 i32 i32))"#,
            "(call $call (i32.const 65536) (i32.const COUNT) (i32.const 1024))",
            44,
            44 * 40_000,
        ),
        case(
            "log",
            r#""log@0.1.0" "log" (func $call (param i32 i32 i32))"#,
            "(call $call (i32.const 0) (i32.const 65536) (i32.const SIZE))",
        ),
        read("read-coils", r#""modbus@0.1.0" "read-coils" (func $call (param i32 i32 i32 i32 i32 i32 i32))"#),
        read(
            "read-discrete-inputs",
            r#""modbus@0.1.0" "read-discrete-inputs" (func $call (param i32 i32 i32 i32 i32 i32 i32))"#,
        ),
        read(
            "read-holding-registers",
            r#""modbus@0.1.0" "read-holding-registers" (func $call (param i32 i32 i32 i32 i32 i32 i32))"#,
        ),
        read(
            "read-input-registers",
            r#""modbus@0.1.0" "read-input-registers" (func $call (param i32 i32 i32 i32 i32 i32 i32))"#,
        ),
        many(
            "read-many",
            r#""modbus@0.1.0" "read-many" (func $call (param i32 i32 i32))"#,
            "(call $call (i32.const 65536) (i32.const COUNT) (i32.const 1024))",
            16,
            16 * 50_000,
        ),
        case(
            "state-get",
            r#""state@0.1.0" "get" (func $call (param i32 i32 i32))"#,
            "(call $call (i32.const 65536) (i32.const SIZE) (i32.const 1024))",
        ),
        case(
            "state-set-key",
            r#""state@0.1.0" "set" (func $call (param i32 i32 i32 i32 i32))"#,
            "(call $call (i32.const 65536) (i32.const SIZE) (i32.const 0) (i32.const 0) (i32.const 1024))",
        ),
        case(
            "state-set-value",
            r#""state@0.1.0" "set" (func $call (param i32 i32 i32 i32 i32))"#,
            "(call $call (i32.const 65536) (i32.const 1) (i32.const 65536) (i32.const SIZE) (i32.const 1024))",
        ),
        Case {
            largest: 60_000,
            ..case(
                "state-set-values",
                r#""state@0.1.0" "set" (func $call (param i32 i32 i32 i32 i32))"#,
                "(call $call (i32.const 65536) (i32.const 1) (i32.const 65536) (i32.const SIZE) (i32.const 1024))",
            )
        },
        case(
            "state-remove",
            r#""state@0.1.0" "remove" (func $call (param i32 i32))"#,
            "(call $call (i32.const 65536) (i32.const SIZE))",
        ),
    ];
    let bound = |name: &str| BOUNDS.iter().find(|(of, _)| *of == name).map_or(5, |(_, bound)| *bound);
    all.into_iter().map(|case| Case { bound: bound(case.name), ..case }).collect()
}

/// Bounds on instructions that differ from the usual one, which holds for host functions that only
/// copy and refuse their arguments.
const BOUNDS: [(&str, u64); 12] = [
    ("emit-text", 1500),
    ("emit-metadata", 120),
    ("emit-many", 330),
    ("emit-too-many", 330),
    ("fetch-host", 4000),
    ("fetch-headers", 140),
    ("fetch-body", 75),
    ("fetch-all", 700),
    ("log", 30),
    ("read-many", 600),
    ("state-set-value", 75),
    ("state-set-values", 80),
];

/// A guest that does nothing.
pub fn idle() -> String {
    case("idle", r#""clock@0.1.0" "now" (func $call (result i64))"#, "(drop (call $call))").guest(1, 2)
}

impl Case {
    /// A guest that makes the call this many times.
    pub fn guest(&self, size: usize, times: usize) -> String {
        let fill = |text: &str| {
            text.replace("SIZE", &size.to_string())
                .replace("COUNT", &size.checked_div(self.item).unwrap_or(0).to_string())
        };
        let import = self.import.trim_start_matches('"');
        let (call, before) = (fill(self.call), fill(self.before));
        format!(
            r#"(module
              (import "pattoo:agent/{import})
              (import "pattoo:agent/log@0.1.0" "log" (func $say (param i32 i32 i32)))
              (memory (export "memory") 620)
              (data (i32.const 0) "http://127.0.0.1:9/abcdeGET")
              (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 17825792)
              (func (export "collect") (result i32) (local $turn i32) (local $p i32)
                (memory.fill (i32.const {AT}) (i32.const 1) (i32.const {size}))
                {before}
                (i32.store8 (i32.const 65535) (i32.const 116))
                (loop $again
                  (i32.store8 (i32.const {AT}) (i32.add (i32.const 65) (local.get $turn)))
                  {call}
                  (call $say (i32.const 2) (i32.const 19) (i32.const 5))
                  (br_if $again (i32.lt_u (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const {times}))))
                i32.const 61440))"#
        )
    }
}
