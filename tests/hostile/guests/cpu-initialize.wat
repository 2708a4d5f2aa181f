;; Loops for ever in `_initialize`.
;; control: timeout
(module
  (memory (export "memory") 1)
  (func (export "_initialize") (loop br 0))
  (func (export "collect") (result i32) i32.const 0))
