;; Divides by zero.
;; control: trap
;; says: divide by zero
;; harmless: (local.get 0) => (i32.const 1)
(module
  (memory (export "memory") 1)
  (func (export "collect") (result i32) (local i32)
    (drop (i32.div_s (i32.const 1) (local.get 0)))
    i32.const 61440))
