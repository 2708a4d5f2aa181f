;; Jumps through a table of branches for ever.
;; control: timeout
(module
  (memory (export "memory") 1)
  (func (export "collect") (result i32) (local $turn i32)
    (loop $again (block (block (block (br_table 0 1 2 (i32.and (local.get $turn) (i32.const 3)))))) (local.set $turn (i32.add (local.get $turn) (i32.const 1))) br $again)
    i32.const 61440))
