;; A string with half of a surrogate pair.
;; control: boundary
;; says: utf-8
(module
  (import "pattoo:agent/log@0.1.0" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\ed\a0\80")
  (func (export "collect") (result i32)
    (call $log (i32.const 2) (i32.const 0) (i32.const 3))
    i32.const 61440))
