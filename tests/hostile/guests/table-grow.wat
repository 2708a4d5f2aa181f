;; Grows its table by a thousand elements, 50 times.
;; control: table_elements
;; with: table_elements=1000
(module
  (memory (export "memory") 1)
  (table $table 0 funcref)
  (func (export "collect") (result i32) (local $turn i32)
    (loop $again
      (drop (table.grow $table (ref.null func) (i32.const 1000)))
      (br_if $again (i32.lt_u (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 50))))
    i32.const 61440))
