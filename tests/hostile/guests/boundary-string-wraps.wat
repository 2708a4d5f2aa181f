;; A string whose end is before its beginning.
;; control: boundary
;; says: out of bounds
(module
  (import "pattoo:agent/log@0.1.0" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "collect") (result i32)
    (call $log (i32.const 2) (i32.const -16) (i32.const 32))
    i32.const 61440))
