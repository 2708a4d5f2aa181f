;; Keeps 8 KiB.
;; control: state_bytes
;; with: state_bytes=1KiB
(module
  (import "pattoo:agent/state@0.1.0" "set" (func $set (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 32768)
  (data (i32.const 0) "k")
  (func (export "collect") (result i32)
    (call $set (i32.const 0) (i32.const 1) (i32.const 8192) (i32.const 8192) (i32.const 1024))
    (if (i32.and (i32.eq (i32.load8_u (i32.const 1024)) (i32.const 1)) (i32.eq (i32.load8_u (i32.const 1028)) (i32.const 0))) (then
        (i32.store (i32.const 2048) (i32.const 1))
        (i64.store (i32.const 2052) (i64.load (i32.const 1032)))
        (return (i32.const 2048))))
    i32.const 61440))
