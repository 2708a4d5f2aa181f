;; The text of its error is not UTF-8.
;; control: boundary
;; says: utf-8
(module
  (memory (export "memory") 1)
  (data (i32.const 16) "\01\00\00\00\00\01\00\00\02\00\00\00") (data (i32.const 256) "\ff\ff")
  (func (export "collect") (result i32) i32.const 16))
