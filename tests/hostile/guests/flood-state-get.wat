;; Asks for a value that was never set for ever.
;; control: timeout
(module
  (import "pattoo:agent/state@0.1.0" "get" (func $get (param i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 32768)
  (func (export "collect") (result i32)
    (loop (call $get (i32.const 0) (i32.const 1) (i32.const 1024)) br 0)
    i32.const 61440))
