;; Logs a hundred lines.
;; control: log_lines
;; with: log_lines=10
(module
  (import "pattoo:agent/log@0.1.0" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "collect") (result i32) (local $turn i32)
    (loop $again
      (call $log (i32.const 2) (i32.const 0) (i32.const 4))
      (br_if $again (i32.lt_u (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 100))))
    i32.const 61440))
