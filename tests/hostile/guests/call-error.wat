;; Fails with a text of a MiB.
;; control: call_bytes
;; with: call_bytes=64KiB
(module
  (memory (export "memory") 20)
  (data (i32.const 1048576) "\01\00\00\00\00\00\00\00\00\00\10\00")
  (func (export "collect") (result i32) i32.const 1048576))
