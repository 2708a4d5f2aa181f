;; A list in a list that goes on behind the memory: metadata of a datapoint.
;; control: boundary
(module
  (import "pattoo:agent/datapoints@0.1.0" "emit" (func $emit (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 32768)
  (data (i32.const 2092) "\ff\ff\ff\7f\ff\ff\ff\7f")
  (func (export "collect") (result i32)
    (call $emit (i32.const 0) (i32.const 1) (i32.const 2048) (i32.const 1) (i32.const 1024))
    i32.const 61440))
