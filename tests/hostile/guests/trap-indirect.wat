;; Calls what is behind its table.
;; control: trap
;; says: out of bounds
;; harmless: (call_indirect (i32.const 1)) => (call_indirect (i32.const 0))
(module
  (memory (export "memory") 1)
  (table 1 funcref) (elem (i32.const 0) func $nothing)
  (func $nothing)
  (func (export "collect") (result i32)
    (call_indirect (i32.const 1))
    i32.const 61440))
