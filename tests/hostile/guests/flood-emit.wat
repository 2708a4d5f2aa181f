;; Emits nothing to a target without a name for ever.
;; control: timeout
(module
  (import "pattoo:agent/datapoints@0.1.0" "emit" (func $emit (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 32768)
  (func (export "collect") (result i32)
    (loop (call $emit (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1024)) br 0)
    i32.const 61440))
