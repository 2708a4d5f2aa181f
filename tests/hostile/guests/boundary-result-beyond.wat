;; Its own result lies behind the memory.
;; control: boundary
;; says: out of bounds
(module
  (memory (export "memory") 1)
  (func (export "collect") (result i32) i32.const 65536))
