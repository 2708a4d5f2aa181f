;; Keeps a value of a MiB in one call.
;; control: call_bytes
;; with: call_bytes=64KiB
(module
  (import "pattoo:agent/state@0.1.0" "set" (func $set (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 20)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 32768)
  (func (export "collect") (result i32)
    (call $set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1048000) (i32.const 1056768))
    i32.const 61440))
