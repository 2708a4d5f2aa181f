;; Asks WASI for the time for ever.
;; control: timeout
(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
  (memory (export "memory") 4)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 65536)
  (func (export "collect") (result i32)
    (loop (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 1024))) br 0)
    i32.const 61440))
