;; Sets and removes a value for ever.
;; control: timeout
(module
  (import "pattoo:agent/state@0.1.0" "set" (func $set (param i32 i32 i32 i32 i32)))
  (import "pattoo:agent/state@0.1.0" "remove" (func $remove (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 32768)
  (func (export "collect") (result i32)
    (loop (call $set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 100) (i32.const 1024)) (call $remove (i32.const 0) (i32.const 1)) br 0)
    i32.const 61440))
