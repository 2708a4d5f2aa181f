;; Grows by 2 GiB in one go.
;; control: memory
;; with: memory=8MiB
(module
  (memory (export "memory") 1)
  (func (export "collect") (result i32)
    (drop (memory.grow (i32.const 32768)))
    i32.const 61440))
