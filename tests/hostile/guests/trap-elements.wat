;; The elements of its table lie behind it.
;; control: trap
;; says: out of bounds table access
;; harmless: (i32.const 1) func => (i32.const 0) func
(module
  (memory (export "memory") 1)
  (table 1 funcref) (elem (i32.const 1) func $nothing)
  (func $nothing)
  (func (export "collect") (result i32) i32.const 0))
