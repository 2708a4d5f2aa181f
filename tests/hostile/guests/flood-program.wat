;; Asks for its name for ever.
;; control: timeout
(module
  (import "pattoo:agent/agent@0.1.0" "program" (func $program (param i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 32768)
  (func (export "collect") (result i32)
    (loop (call $program (i32.const 1024)) br 0)
    i32.const 61440))
