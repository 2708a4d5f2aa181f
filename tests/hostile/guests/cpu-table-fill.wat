;; Fills a table of 50 000 elements again and again.
;; control: timeout
(module
  (memory (export "memory") 1)
  (table $table 50000 funcref)
  (func (export "collect") (result i32)
    (loop (table.fill $table (i32.const 0) (ref.null func) (i32.const 50000)) br 0)
    i32.const 61440))
