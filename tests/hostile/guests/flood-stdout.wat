;; Writes to standard output for ever.
;; control: timeout
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 65536)
  (data (i32.const 0) "\10\00\00\00\02\00\00\00") (data (i32.const 16) "a\0a")
  (func (export "collect") (result i32)
    (loop (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 1024))) br 0)
    i32.const 61440))
