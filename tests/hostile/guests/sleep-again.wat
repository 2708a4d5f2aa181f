;; Sleeps a millisecond, again and again.
;; control: timeout
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 65536)
  (data (i32.const 1040) "\01\00\00\00\00\00\00\00\40\42\0f\00\00\00\00\00")
  (func (export "collect") (result i32)
    (loop (drop (call $poll_oneoff (i32.const 1024) (i32.const 2048) (i32.const 1) (i32.const 4096))) br 0)
    i32.const 61440))
