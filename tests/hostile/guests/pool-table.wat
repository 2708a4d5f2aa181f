;; A table of a million elements.
;; control: pool
;; harmless: 1000000 => 100000
(module
  (memory (export "memory") 1)
  (table 1000000 funcref)
  (func (export "collect") (result i32) i32.const 0))
