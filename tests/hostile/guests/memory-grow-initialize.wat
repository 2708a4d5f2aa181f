;; Grows in `_initialize`.
;; control: memory
;; with: memory=8MiB
(module
  (memory (export "memory") 1)
  (func (export "_initialize") (local $turn i32)
    (loop $again
      (drop (memory.grow (i32.const 16)))
      (br_if $again (i32.lt_u (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 32)))))
  (func (export "collect") (result i32) i32.const 0))
