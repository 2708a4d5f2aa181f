;; A memory of 64-bit addresses.
;; control: features
(module
  (memory (export "memory") 1)
  (memory i64 1)
  (func (export "collect") (result i32) i32.const 0))
