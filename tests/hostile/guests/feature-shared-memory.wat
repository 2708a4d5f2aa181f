;; A memory shared between threads.
;; control: features
(module
  (memory (export "memory") 1 1 shared)
  (func (export "collect") (result i32) i32.const 0))
