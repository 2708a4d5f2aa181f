;; Calls a function as if it were another.
;; control: trap
;; says: indirect call type mismatch
;; harmless: (call_indirect (param i64) (i64.const 7) (i32.const 0)) => (call_indirect (i32.const 0))
(module
  (memory (export "memory") 1)
  (table 1 funcref) (elem (i32.const 0) func $nothing)
  (func $nothing)
  (func (export "collect") (result i32)
    (call_indirect (param i64) (i64.const 7) (i32.const 0))
    i32.const 61440))
