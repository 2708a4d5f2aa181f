;; Fails with a text of 8 KiB.
;; control: error_bytes
;; with: error_bytes=100
(module
  (memory (export "memory") 1)
  (data (i32.const 16) "\01\00\00\00\00\20\00\00\00\20\00\00")
  (func (export "collect") (result i32)
    (memory.fill (i32.const 8192) (i32.const 97) (i32.const 8192))
    i32.const 16))
