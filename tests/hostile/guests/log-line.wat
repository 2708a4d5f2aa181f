;; Logs a line of 8 KiB.
;; control: log_line_bytes
;; with: log_line_bytes=100
(module
  (import "pattoo:agent/log@0.1.0" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "collect") (result i32)
    (memory.fill (i32.const 0) (i32.const 97) (i32.const 8192)) (call $log (i32.const 2) (i32.const 0) (i32.const 8192))
    i32.const 61440))
