;; Grows its table by 90 000 elements in one go.
;; control: table_elements
;; with: table_elements=1000
(module
  (memory (export "memory") 1)
  (table $table 0 funcref)
  (func (export "collect") (result i32)
    (drop (table.grow $table (ref.null func) (i32.const 90000)))
    i32.const 61440))
