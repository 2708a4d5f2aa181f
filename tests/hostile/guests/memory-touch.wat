;; Grows to 32 MiB and writes to every page of it.
;; control: memory
;; with: memory=8MiB
(module
  (memory (export "memory") 1)
  (func (export "collect") (result i32)
    (drop (memory.grow (i32.const 511)))
    (memory.fill (i32.const 0) (i32.const 1) (i32.const 33554432))
    (i32.store (i32.const 61440) (i32.const 0))
    i32.const 61440))
