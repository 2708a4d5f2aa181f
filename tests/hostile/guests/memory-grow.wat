;; Grows by a MiB, 32 times.
;; control: memory
;; with: memory=8MiB
(module
  (memory (export "memory") 1)
  (func (export "collect") (result i32) (local $turn i32)
    (loop $again
      (drop (memory.grow (i32.const 16)))
      (br_if $again (i32.lt_u (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 32))))
    i32.const 61440))
