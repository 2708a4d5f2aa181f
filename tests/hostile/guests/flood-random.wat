;; Asks for no random bytes for ever.
;; control: timeout
(module
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (memory (export "memory") 4)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 65536)
  (func (export "collect") (result i32)
    (loop (drop (call $random_get (i32.const 0) (i32.const 0))) br 0)
    i32.const 61440))
