;; Emits twenty thousand datapoints in one call.
;; control: call_bytes
;; with: call_bytes=64KiB
(module
  (import "pattoo:agent/datapoints@0.1.0" "emit" (func $emit (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 20)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.mul (memory.grow (i32.const 40)) (i32.const 65536)))
  (func (export "collect") (result i32)
    (call $emit (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 20000) (i32.const 1024))
    i32.const 61440))
