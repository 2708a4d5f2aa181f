;; Loops for ever.
;; control: timeout
(module
  (memory (export "memory") 1)
  (func (export "collect") (result i32)
    (loop br 0)
    i32.const 61440))
