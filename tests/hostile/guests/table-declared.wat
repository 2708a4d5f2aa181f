;; Says that its table begins with 90 000 elements.
;; control: table_elements
;; with: table_elements=1000
(module
  (memory (export "memory") 1)
  (table 90000 funcref)
  (func (export "collect") (result i32) i32.const 0))
