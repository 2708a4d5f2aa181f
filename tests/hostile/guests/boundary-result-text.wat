;; The text of its error lies behind the memory.
;; control: boundary
;; says: out of bounds
(module
  (memory (export "memory") 1)
  (data (i32.const 16) "\01\00\00\00\00\00\ff\ff\10\00\00\00")
  (func (export "collect") (result i32) i32.const 16))
