;; Calls an empty place of its table.
;; control: trap
;; says: uninitialized element
;; harmless: (call_indirect (i32.const 1)) => (call_indirect (i32.const 0))
(module
  (memory (export "memory") 1)
  (table 2 funcref) (elem (i32.const 0) func $nothing)
  (func $nothing)
  (func (export "collect") (result i32)
    (call_indirect (i32.const 1))
    i32.const 61440))
