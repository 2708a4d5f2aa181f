;; Logs a message of a MiB.
;; control: call_bytes
;; with: call_bytes=64KiB
(module
  (import "pattoo:agent/log@0.1.0" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 20)
  (func (export "collect") (result i32)
    (call $log (i32.const 2) (i32.const 0) (i32.const 1048576))
    i32.const 61440))
