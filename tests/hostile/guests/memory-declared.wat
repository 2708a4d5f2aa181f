;; Says that it begins with 128 MiB.
;; control: memory
;; with: memory=8MiB
(module
  (memory (export "memory") 2048)
  (func (export "collect") (result i32) i32.const 0))
