;; Its own result is neither good nor bad.
;; control: boundary
;; says: discriminant
(module
  (memory (export "memory") 1)
  (data (i32.const 16) "\02")
  (func (export "collect") (result i32) i32.const 16))
