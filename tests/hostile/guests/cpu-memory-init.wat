;; Copies a data segment again and again.
;; control: timeout
(module
  (memory (export "memory") 1)
  (data $bytes "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  (func (export "collect") (result i32)
    (loop (memory.init $bytes (i32.const 0) (i32.const 0) (i32.const 64)) br 0)
    i32.const 61440))
