;; Asks for 128 KiB of random bytes at once.
;; control: random_bytes
;; with: random_bytes=1KiB
(module
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (memory (export "memory") 8)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 65536)
  (func (export "collect") (result i32)
    (drop (call $random_get (i32.const 65536) (i32.const 131072)))
    i32.const 61440))
