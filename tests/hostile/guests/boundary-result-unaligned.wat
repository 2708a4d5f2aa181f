;; Its own result lies at an odd address.
;; control: boundary
;; says: aligned
(module
  (memory (export "memory") 1)
  (func (export "collect") (result i32) i32.const 1025))
