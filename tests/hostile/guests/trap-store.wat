;; Writes behind its memory.
;; control: trap
;; says: out of bounds memory access
;; harmless: 65529 => 65528
(module
  (memory (export "memory") 1)
  (func (export "collect") (result i32)
    (i64.store (i32.const 65529) (i64.const 1))
    i32.const 61440))
