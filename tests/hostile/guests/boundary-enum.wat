;; A log level that there is not.
;; control: boundary
;; says: discriminant
(module
  (import "pattoo:agent/log@0.1.0" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "collect") (result i32)
    (call $log (i32.const 9) (i32.const 0) (i32.const 0))
    i32.const 61440))
