;; Logs an empty line for ever.
;; control: timeout
(module
  (import "pattoo:agent/log@0.1.0" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "collect") (result i32)
    (loop (call $log (i32.const 4) (i32.const 0) (i32.const 0)) br 0)
    i32.const 61440))
