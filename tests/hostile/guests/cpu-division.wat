;; Divides for ever, the slowest that an instruction can be.
;; control: timeout
(module
  (memory (export "memory") 1)
  (func (export "collect") (result i32) (local $by i64)
    (local.set $by (i64.const 3))
    (loop (drop (i64.div_u (i64.const -1) (local.get $by))) br 0)
    i32.const 61440))
