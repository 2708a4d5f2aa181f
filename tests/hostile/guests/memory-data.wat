;; A byte of data at the end of 64 MiB.
;; control: memory
;; with: memory=8MiB
(module
  (memory (export "memory") 1024)
  (data (i32.const 67108863) "x")
  (func (export "collect") (result i32) i32.const 0))
