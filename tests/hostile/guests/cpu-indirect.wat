;; Calls through a table for ever.
;; control: timeout
(module
  (memory (export "memory") 1)
  (table $table 1 funcref) (elem (i32.const 0) func $nothing)
  (func $nothing)
  (func (export "collect") (result i32)
    (loop (call_indirect (i32.const 0)) br 0)
    i32.const 61440))
